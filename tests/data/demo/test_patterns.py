import numpy as np

from weaktr.data.demo.patterns import DEMO_PATTERNS, pretraining_patterns


def test_pretraining_has_none_of_the_demo_patterns() -> None:
    def shifts(tile: np.ndarray) -> set[bytes]:
        return {
            np.roll(variant, (dy, dx), (0, 1)).tobytes()
            for variant in (tile, ~tile, tile[:, ::-1], ~tile[:, ::-1])
            for dy in range(4)
            for dx in range(4)
        }

    demo = set().union(*(shifts(tile) for tile in DEMO_PATTERNS.values()))
    patterns = pretraining_patterns(24, seed=0)
    assert not demo & {tile.tobytes() for tile in patterns}
    assert len({min(shifts(tile)) for tile in patterns}) == 24
