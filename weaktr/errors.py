"""The exception that means "you can mend this", and what command lines do with it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake in input, params or set-up that the user can mend.

    The message is one sentence that says what is wrong, where, and what to do. Command lines print
    it without a traceback and exit with code 2.
    """


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns a `UserError` into its sentence on standard error and exit code 2.

    What the system refuses (a file without rights, a full disk) becomes a sentence too.
    """
    try:
        yield
    except UserError as error:
        sentence = str(error)
    except OSError as error:
        if error.strerror is None:  # Raised by a library, not by the system.
            raise
        place = "a file" if error.filename is None else error.filename
        sentence = (
            f"{place} cannot be read or written ({error.strerror}); check the path, the rights and "
            "the space left."
        )
    else:
        return
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(2)
