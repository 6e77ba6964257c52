import torch
from torch import nn

from weaktr.config.decoder import DecoderParams
from weaktr.training.decoder_optimization import decoder_optimizer, decoder_schedule


def test_every_parameter_is_optimised_and_the_encoder_slower() -> None:
    model = nn.ModuleDict({"encoder": nn.Linear(2, 3), "decoder": nn.Linear(3, 4)})
    for kind in ("sgd", "adamw"):
        groups = decoder_optimizer(model, DecoderParams(optimizer=kind)).param_groups
        assert [group["lr_scale"] for group in groups] == [0.1, 1.0]
        assert [sum(p.numel() for p in group["params"]) for group in groups] == [9, 16]


def test_momentum_is_nesterovs_where_there_is_any() -> None:
    model = nn.Linear(2, 3)
    for momentum in (0.9, 0.0):
        optimizer = decoder_optimizer(model, DecoderParams(momentum=momentum))
        assert [group["nesterov"] for group in optimizer.param_groups] == [momentum > 0] * 2


def test_the_schedule_follows_params() -> None:
    decoder = decoder_schedule(DecoderParams(epochs=4, schedule="poly_published"), 25)
    assert decoder.total_steps == 100
    assert decoder.published
    assert decoder.lr_at(0) == 1e-4


def test_a_short_training_warms_up_for_half_of_it_at_most() -> None:
    params = DecoderParams(epochs=4, warmup_iterations=30)
    assert decoder_schedule(params, 25).warmup_steps == 30
    assert decoder_schedule(params, 10).warmup_steps == 20


def test_momentum_begins_at_zero_even_where_the_first_gradients_overflow() -> None:
    """As in float16, whose scale is found by overflowing."""
    params = DecoderParams(optimizer="sgd", lr=0.1, momentum=0.9, encoder_lr_scale=1.0)
    trained, expected = (nn.Linear(3, 1) for _ in range(2))
    expected.load_state_dict(trained.state_dict())
    optimizer = decoder_optimizer(trained, params)
    plain = torch.optim.SGD(expected.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    x = torch.ones(1, 3)
    torch.use_deterministic_algorithms(True)  # memory as it is found then holds no numbers
    try:
        for factor in (float("inf"), 1.0, 1.0):
            optimizer.zero_grad()
            scaler.scale(factor * trained(x).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        for _ in range(2):
            plain.zero_grad()
            expected(x).sum().backward()
            plain.step()
    finally:
        torch.use_deterministic_algorithms(False)
    for own, other in zip(trained.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own, other)
