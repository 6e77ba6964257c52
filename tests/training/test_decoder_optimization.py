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
