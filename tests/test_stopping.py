import pytest

from weaktr.stopping import Stop, Stopped


def test_a_stop_that_is_held_is_taken_later() -> None:
    stop = Stop()
    stop.take()
    with stop.held(), stop.held():
        stop.ask(130)
    with pytest.raises(Stopped, match="130"):
        stop.take()


def test_a_wish_that_comes_while_others_are_asked_is_not_lost() -> None:
    """They could not know of it: it is taken with the next step, by all."""
    stop = Stop()

    def none_of_us(code: int) -> int:
        stop.ask(143)
        return code

    with stop.held():
        stop.take(none_of_us)
        with pytest.raises(Stopped, match="143"):
            stop.take()


def test_the_wish_of_another_process_is_one_s_own() -> None:
    stop = Stop()
    with pytest.raises(Stopped, match="129"):
        stop.take(lambda code: max(code, 129))
    assert stop.code == 129
    stop.ask(143)  # from a launcher, which has seen the other one leave
