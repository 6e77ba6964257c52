"""What a step cannot avoid, in work and in seconds."""

import pytest
import torch
import torch.nn.functional as F

from benchmarks.limits import (
    Bytes,
    Flops,
    Part,
    Rates,
    count_flops,
    describe_limit,
    limit_seconds,
    measure_rates,
    scaled,
)

RATES = Rates(
    threads=2,
    matmul={
        ("float32", 2): 100e9,
        ("float32", 1): 50e9,
        ("bfloat16", 2): 300e9,
        ("bfloat16", 1): 150e9,
    },
    bandwidth={2: 20e9, 1: 16e9},
)


def test_work_takes_as_long_as_the_machine_needs_for_it_at_best() -> None:
    assert limit_seconds(Flops(1e12), RATES, {}) == 10
    assert limit_seconds(Flops(1.5e11, "bfloat16", threads=1), RATES, {}) == 1
    assert limit_seconds(Bytes(4e9), RATES, {}) == 0.2
    assert limit_seconds(Bytes(4e9, threads=1), RATES, {}) == 0.25
    assert limit_seconds(Part("decoding"), RATES, {"decoding": 0.5, "ours": 2.0}) == 0.5


def test_limits_have_words() -> None:
    assert describe_limit(Flops(9.876e11)) == "988 GFLOP"
    assert describe_limit(Bytes(3.6e7)) == "36 MB"
    assert describe_limit(Part("JPEG decoding alone")) == "JPEG decoding alone"
    assert [scaled(x) for x in (1.23e12, 999.0, 4500.0)] == ["1.2 T", "999 ", "4.5 k"]


def test_flops_of_products_and_attention_are_counted() -> None:
    a, b = torch.zeros(3, 4), torch.zeros(4, 5)
    assert count_flops(lambda: a @ b) == 2 * 3 * 4 * 5
    q = torch.zeros(1, 2, 16, 8)
    attention = count_flops(lambda: F.scaled_dot_product_attention(q, q, q))
    assert attention == 2 * (2 * 2 * 16 * 16 * 8)  # scores and values, two heads


def test_rates_are_measured_for_all_threads_and_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.limits.SIDES", {"cpu": (64,)})
    monkeypatch.setattr("benchmarks.limits.COPIED", {"cpu": 2**16})
    threads = torch.get_num_threads()
    rates = measure_rates(torch.device("cpu"))
    assert torch.get_num_threads() == rates.threads == threads
    assert set(rates.bandwidth) == {threads, 1}
    assert set(rates.matmul) == {(p, n) for p in ("float32", "bfloat16") for n in (threads, 1)}
    assert min([*rates.matmul.values(), *rates.bandwidth.values()]) > 0
