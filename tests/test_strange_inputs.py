"""Files that were cut, swapped or edited by hand: each gives one sentence, and within seconds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.console import save_cam_network, save_segmenter
from tests.tiny_data import write_image
from tests.training.data_sets import segmentation
from weaktr.data.manifest import Manifest, Record, load_label_maps, load_masks
from weaktr.data.masks import read_label_map, write_mask
from weaktr.errors import UserError
from weaktr.models.any_network import load_any_model
from weaktr.models.saving import load_model
from weaktr.models.segmenter import Segmenter
from weaktr.training.mask_dataset import MaskDataset

WEIGHTS, CONFIG = "model.safetensors", "config.json"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_segmenter(tmp_path_factory.mktemp("saved") / "segmenter")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A sound model to be spoiled."""
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


def spoil_config(folder: Path, **changes: Any) -> None:
    """Changes values of `config.json` by dotted name, given with `__` for the dots."""
    config = json.loads((folder / CONFIG).read_text())
    for name, value in changes.items():
        *sections, key = name.split("__")
        place = config
        for section in sections:
            place = place[section]
        place[key] = value
    (folder / CONFIG).write_text(json.dumps(config))


CONFIGS: dict[str, dict[str, Any]] = {
    "a depth that would be built for hours": {"params__backbone__depth": 10**7},
    "a depth that no memory holds": {"params__backbone__depth": 10**30},
    "one block too many": {"params__backbone__depth": 3},
    "one block too few": {"params__backbone__depth": 1},
    "a depth that is text": {"params__backbone__depth": "2"},
    "a depth of half a block": {"params__backbone__depth": 1.5},
    "a depth that is true": {"params__backbone__depth": True},
    "a width that no memory holds": {"params__backbone__embed_dim": 2 * 10**9},
    "a width beyond all numbers": {"params__backbone__embed_dim": 10**40},
    "a width that heads do not divide": {"params__backbone__embed_dim": 25},
    "more heads than channels": {"params__backbone__num_heads": 1000},
    "a patch that no memory holds": {"params__backbone__patch_size": 10**6},
    "a patch as large as can be": {"params__backbone__patch_size": 2**62},
    "a wider MLP": {"params__backbone__mlp_ratio": 1e9},
    "an MLP without end": {"params__backbone__mlp_ratio": 1e300},
    "a narrow MLP": {"params__backbone__mlp_ratio": 1e-9},
    "another backbone": {"params__backbone__name": "eva02_small_patch14_224"},
    "no such backbone": {"params__backbone__name": "resnet50"},
    "a backbone without name": {"params__backbone__name": ""},
    "a backbone that is null": {"params__backbone": None},
    "a crop that no memory holds": {"params__crop_size": 10**8},
    "a crop beyond all numbers": {"params__crop_size": 10**30, "params__region": 8},
    "layers that would be built for hours": {"params__layers": 10**7},
    "no layers": {"params__layers": 0},
    "heads that do not divide": {"params__heads": 7},
    "spare classes that no memory holds": {"params__spare_classes": 10**12},
    "more classes": {"classes": [f"c{i}" for i in range(200)]},
    "too many classes": {"classes": [f"c{i}" for i in range(5000)]},
    "fewer classes": {"classes": ["cat"]},
    "no classes": {"classes": []},
    "a class twice": {"classes": ["cat", "cat", "dog"]},
    "a class that is a number": {"classes": ["cat", 3, "dog"]},
    "classes in one text": {"classes": "cat"},
    "a kind that there is not": {"kind": "toaster"},
    "a kind that is null": {"kind": None},
    "the other kind": {"kind": "cam"},
    "params that are a list": {"params": []},
    "a param that there is not": {"params__lrr": 1},
    "a negative drop path": {"params__drop_path": -1},
}


@pytest.mark.parametrize("case", CONFIGS)
def test_strange_configs(folder: Path, case: str) -> None:
    spoil_config(folder, **CONFIGS[case])
    assert_refused(lambda: load_any_model(folder), folder)


def assert_refused(call: Callable[[], object], place: Path) -> str:
    """It ends in one sentence that names the place."""
    with pytest.raises(UserError) as caught:
        call()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 700
    assert str(place) in sentence
    return sentence


BYTES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a config that was cut": (CONFIG, lambda data: data[: len(data) // 2]),
    "an empty config": (CONFIG, lambda data: b""),
    "a config of another encoding": (CONFIG, lambda data: data.decode().encode("utf-16")),
    "a config that is a number": (CONFIG, lambda data: b"3"),
    "a config of brackets": (CONFIG, lambda data: b"[" * 100_000),
    "a config with a number of many digits": (CONFIG, lambda data: b'{"kind": ' + b"9" * 10_000),
    "weights that were cut": (WEIGHTS, lambda data: data[:-1]),
    "weights that were cut in half": (WEIGHTS, lambda data: data[: len(data) // 2]),
    "weights that were cut in the header": (WEIGHTS, lambda data: data[:100]),
    "no weights": (WEIGHTS, lambda data: b""),
    "weights that are a web page": (WEIGHTS, lambda data: b"<!DOCTYPE html>" * 99),
    "a header without end": (WEIGHTS, lambda data: b"\xff" * 8 + data[8:]),
    "weights with something behind": (WEIGHTS, lambda data: data + b"\0"),
    "a header that is no JSON": (WEIGHTS, lambda data: data[:8] + b"x" + data[9:]),
}


@pytest.mark.parametrize("case", BYTES)
def test_damaged_models(folder: Path, case: str) -> None:
    name, change = BYTES[case]
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    assert_refused(lambda: load_any_model(folder), folder)


TENSORS: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "no tensors": lambda state: state.clear(),
    "a tensor with NaN": lambda state: state["decoder.mask_norm.weight"].fill_(torch.nan),
    "a tensor without end": lambda state: state["decoder.mask_norm.weight"].fill_(torch.inf),
    "a tensor of another shape": lambda state: state.update(
        {"decoder.mask_norm.weight": torch.zeros(1)}
    ),
    "a tensor too few": lambda state: state.pop("decoder.mask_norm.weight"),
    "a tensor too many": lambda state: state.update({"more": torch.zeros(1)}),
}


@pytest.mark.parametrize("case", TENSORS)
def test_strange_tensors(folder: Path, case: str) -> None:
    state = load_file(folder / WEIGHTS)
    TENSORS[case](state)
    save_file(state, folder / WEIGHTS)
    assert_refused(lambda: load_any_model(folder), folder)


def test_a_model_of_the_other_kind(tmp_path: Path) -> None:
    other = save_cam_network(tmp_path / "cam")
    sentence = assert_refused(lambda: load_model(other, Segmenter), other)
    assert "another kind; a segmenter is needed" in sentence


def cut(part: float) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * part)])

    return apply


MASKS: dict[str, Callable[[Path], object]] = {
    "a label that is no class": lambda path: write_mask(path, np.full((16, 24), 3, np.uint8)),
    "a label under void": lambda path: write_mask(path, np.full((16, 24), 254, np.uint8)),
    "another size": lambda path: write_mask(path, np.zeros((24, 16), np.uint8)),
    "cut after its header": cut(0.6),
    "cut in its header": cut(0.1),
    "empty": lambda path: path.write_bytes(b""),
    "colours": lambda path: write_image(path),
    "sixteen bits": lambda path: Image.fromarray(np.full((16, 24), 999, np.uint16)).save(path),
    "no image": lambda path: path.write_text("mask"),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("case", MASKS)
def test_strange_masks_to_train_on_and_to_measure_with(tmp_path: Path, case: str) -> None:
    image = write_image(tmp_path / "a.jpg")
    path = tmp_path / "a.png"
    write_mask(path, np.full((16, 24), 2, np.uint8))
    manifest = Manifest(("cat", "dog"), (Record("a", str(image), "train", (), 24, 16, "d"),))

    def train() -> object:
        return MaskDataset(manifest, {"a": path}, segmentation(), seed=0)[0, 0]

    train()
    MASKS[case](path)
    assert_refused(train, path)
    assert_refused(lambda: read_label_map(path, 3, (24, 16), image), path)


@pytest.mark.parametrize("bytes_lost", [1, 2, 20, 40, 60])
def test_tables_that_were_cut(tmp_path: Path, bytes_lost: int) -> None:
    lines = [f"i{i},m{i}.png,{'d' * 32}\n" for i in range(3)]
    table = tmp_path / "masks.csv"
    table.write_text("id,mask,digest\n" + "".join(lines))
    assert len(load_masks(tmp_path)) == 3
    table.write_text(table.read_text()[:-bytes_lost])
    assert_refused(lambda: load_masks(tmp_path), table)
    assert_refused(lambda: load_label_maps(table), table)
