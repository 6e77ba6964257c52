"""What a wished precision comes to on the device at hand, and saying so."""

from stages.common.stage import Context
from weaktr.config.values import Precision
from weaktr.precision import choose_precision


def precision_at_hand(context: Context, wanted: Precision, section: str) -> Precision:
    """`choose_precision` for a section of params; says what comes of it if it is another.

    Raises:
        UserError: If the device does not have it.
    """
    name = f"{section}.precision"
    precision = choose_precision(wanted, context.device, given_as=name)
    if precision != wanted:
        context.say(f"{name}: {wanted} is {precision} on this device ({context.device})")
    return precision
