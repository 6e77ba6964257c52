import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from tests.training.data_sets import MEAN, STD, segmentation
from weaktr.config.decoder import DecoderAugmentParams
from weaktr.labels import VOID
from weaktr.training.decoder_transform import ROWS
from weaktr.training.sampling import seeded


def test_image_and_label_stay_aligned() -> None:
    """Red marks class 1: wherever the label says 1, the image must be red, and nowhere else."""
    label = np.zeros((40, 60), np.uint8)
    label[10:30, 20:45] = 1
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[label == 1, 0] = 255
    transform = segmentation(photometric=False, max_class_share=1.0)
    for seed in range(20):
        with seeded(seed):
            image, target = transform(Image.fromarray(pixels), label)
        red = image[0] * STD[0] + MEAN[0] > 0.5
        known = target != VOID
        assert image.shape == (3, 32, 32)
        assert target.shape == (32, 32)
        assert target.dtype == torch.int64
        disagree = (red != (target == 1)) & known
        assert disagree.float().mean() < 0.05  # interpolation at the border of the rectangle


def test_small_images_are_padded_with_the_mean_and_void() -> None:
    transform = segmentation(ratio_max=0.5, photometric=False)
    with seeded(0):
        image, target = transform(
            Image.new("RGB", (24, 24), (255, 255, 255)), np.zeros((24, 24), np.uint8)
        )
    assert (target[:12, :12] == 0).all()
    assert (target[12:] == VOID).all()
    assert (target[:, 12:] == VOID).all()
    assert (image[:, 12:] == 0).all()


@pytest.mark.parametrize(("width", "height"), [(600, 2), (2, 600)])
def test_strips_are_resized_to_eight_short_sides_at_most(width: int, height: int) -> None:
    transform = segmentation(8 * 24, ratio_min=1.0, ratio_max=1.0, photometric=False)
    _, target = transform(Image.new("RGB", (width, height)), np.zeros((height, width), np.uint8))
    known = (target != VOID).nonzero().amax(dim=0) + 1
    assert sorted(known.tolist()) == [1, 8 * 24]


def test_a_crop_is_redrawn_while_one_class_dominates() -> None:
    label = np.zeros((24, 192), np.uint8)
    label[:, 80:112] = 1
    pixels = Image.new("RGB", (192, 24))
    shares = {}
    for limit in (0.75, 1.0):
        transform = segmentation(24, ratio_min=1.0, ratio_max=1.0, max_class_share=limit)
        mixed = 0
        for seed in range(40):
            with seeded(seed):
                mixed += len(transform(pixels, label)[1].unique()) > 1
        shares[limit] = mixed
    assert shares[0.75] > 2 * shares[1.0] > 0, shares


def straightforward(
    image: Image.Image, label: np.ndarray, params: DecoderAugmentParams, crop_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same without distortion, step by step: all is resized, then cut, flipped and padded."""
    ratio = torch.empty(()).uniform_(params.ratio_min, params.ratio_max).item()
    H, W = label.shape
    scale = params.short_side * ratio / max(min(H, W), max(H, W) / 8)
    target = [max(1, round(H * scale)), max(1, round(W * scale))]
    pixels = v2.functional.resize(v2.functional.pil_to_tensor(image), target, antialias=True)
    mask = v2.functional.resize(tv_tensors.Mask(torch.from_numpy(label)), target)
    height, width = min(target[0], crop_size), min(target[1], crop_size)
    for _ in range(10):
        top = int(torch.randint(target[0] - height + 1, ()))
        left = int(torch.randint(target[1] - width + 1, ()))
        crop = mask[top : top + height, left : left + width]
        known = crop[crop != VOID]
        counts = [int((known == i).sum()) for i in known.unique()]
        if len(counts) > 1 and max(counts) < params.max_class_share * sum(counts):
            break
    pixels = pixels[:, top : top + height, left : left + width]
    if torch.rand(()) < 0.5:
        pixels, crop = pixels.flip(2), crop.flip(1)
    normal = v2.functional.normalize(pixels.float() / 255, list(MEAN), list(STD))
    padding = [0, 0, crop_size - width, crop_size - height]
    return v2.functional.pad(normal, padding), v2.functional.pad(crop[None], padding, fill=VOID)[0]


@pytest.mark.parametrize("size", [(40, 64), (97, 31), (130, 260)])
def test_the_values_are_those_of_the_steps_one_by_one(size: tuple[int, int]) -> None:
    """To the bit: the demo's weights depend on them."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    label = rng.choice(np.array([0, 1, 2, VOID], np.uint8), size)
    crop_size = ROWS + 20
    transform = segmentation(crop_size, short_side=100, photometric=False)
    for seed in range(12):
        with seeded(seed):
            found = transform(image, label)
        with seeded(seed):
            expected = straightforward(image, label, transform.params, crop_size)
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1].long())
