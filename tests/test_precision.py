import pytest
import torch

from weaktr.config.values import Precision
from weaktr.errors import UserError
from weaktr.precision import autocast, choose_precision, float32_products


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("auto", "float32"),
        ("float32", "float32"),
        ("tf32", "float32"),
        ("bfloat16", "bfloat16"),
        ("float16", "float32"),
    ],
)
def test_on_a_cpu(wanted: Precision, chosen: Precision) -> None:
    assert choose_precision(wanted, "cpu", given_as="cam.precision") == chosen


@pytest.mark.parametrize("native", [True, False])
def test_on_a_gpu_with_and_without_bfloat16(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    asked: list[object] = []

    class Current:
        def __init__(self, device: torch.device) -> None:
            asked.append(device)

        def __enter__(self) -> None:
            pass

        def __exit__(self, *args: object) -> None:
            pass

    monkeypatch.setattr("torch.cuda.device", Current)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: native)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "Tesla V100")

    def chosen(wanted: Precision) -> Precision:
        return choose_precision(wanted, "cuda:1", given_as="cam.precision")

    assert chosen("auto") == ("bfloat16" if native else "float32")
    assert [chosen(one) for one in ("float32", "tf32", "float16")] == ["float32", "tf32", "float16"]
    if native:
        assert chosen("bfloat16") == "bfloat16"
    else:
        with pytest.raises(UserError, match="^cam.precision: Tesla V100 does not .*'float16'"):
            chosen("bfloat16")
    assert asked[0] == torch.device("cuda:1")


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", torch.float32), ("tf32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_autocast_is_for_16_bits(precision: Precision, dtype: torch.dtype) -> None:
    x = torch.ones(2, 2)
    with autocast(precision, "cpu"):
        assert (x @ x).dtype == dtype


@pytest.mark.parametrize(
    ("precision", "device", "products"),
    [("float32", "cuda", "highest"), ("float16", "cuda", "high"), ("bfloat16", "cpu", "highest")],
)
def test_products_are_set_and_set_back(precision: Precision, device: str, products: str) -> None:
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(KeyError), float32_products(precision, device):
            assert torch.get_float32_matmul_precision() == products
            assert torch.backends.cudnn.allow_tf32 is (products == "high")
            raise KeyError
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.cudnn.allow_tf32 is True
    finally:
        torch.set_float32_matmul_precision("highest")
