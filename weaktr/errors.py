"""The one exception type that means "you can mend this"."""


class UserError(Exception):
    """A mistake in input, params or set-up that the user can mend.

    The message is one sentence that says what is wrong, where, and what to do. Command lines print
    it without a traceback and exit with code 2.
    """
