"""What `weaktr` and `python -m stages` do with errors. Imports nothing heavy."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from weaktr.errors import UserError


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turns a `UserError` into its sentence on standard error and exit code 2."""
    try:
        yield
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
