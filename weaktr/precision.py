"""How exactly a network computes: float32, TF32, or autocast to 16 bits."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from weaktr.config.values import Precision
from weaktr.errors import UserError

_AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_precision(wanted: Precision, device: torch.device | str, *, given_as: str) -> Precision:
    """What a wish comes to on a device.

    Args:
        wanted: `auto` is bfloat16 on a GPU that computes in it natively, and float32 elsewhere.
        device: Where the network is.
        given_as: The option or param that holds the wish, for the message.

    Returns:
        Never `auto`. On a CPU, float32 for `tf32`, which it lacks, and for `float16`, which it has
        without the speed (some twenty times slower) and which published code leaves out there.

    Raises:
        UserError: If bfloat16 is wanted of a GPU that does not have it.
    """
    device = torch.device(device)
    if device.type == "cuda" and wanted in ("auto", "bfloat16"):
        with torch.cuda.device(device):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        if wanted == "bfloat16" and not native:
            raise UserError(
                f"{given_as}: {torch.cuda.get_device_name(device)} does not compute in bfloat16; "
                "use 'float16' or 'float32'."
            )
        return "bfloat16" if native else "float32"
    if wanted == "auto" or (device.type == "cpu" and wanted in ("tf32", "float16")):
        return "float32"
    return wanted


def autocast(precision: Precision, device: torch.device | str) -> AbstractContextManager[None]:
    """Autocast for the forward pass where a precision has 16 bits; else nothing changes."""
    dtype = _AUTOCAST.get(precision)
    return torch.autocast(torch.device(device).type, dtype=dtype, enabled=dtype is not None)


@contextmanager
def float32_products(precision: Precision, device: torch.device | str) -> Iterator[None]:
    """Inside, float32 products and convolutions of a GPU are exact, or in TF32.

    Exact for `float32`; for the others, what autocast leaves in float32 may be in TF32. A CPU's are
    exact. What torch was set to before comes back afterwards. (This is the older of torch's two
    ways to say so: the newer one is not in every version that goes, and they must not be mixed.)
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    rounded = precision != "float32" and torch.device(device).type == "cuda"
    torch.set_float32_matmul_precision("high" if rounded else "highest")
    torch.backends.cudnn.allow_tf32 = rounded
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
