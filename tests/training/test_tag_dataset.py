from tests.training.data_sets import tag_dataset
from weaktr.data.manifest import Manifest


def test_targets_are_multi_hot(manifest: Manifest) -> None:
    _, target = tag_dataset(manifest)[0, 1]
    assert target.tolist() == [1.0, 1.0]
    _, target = tag_dataset(manifest)[0, 2]
    assert target.tolist() == [1.0, 0.0]
