"""CAM refinement, label maps and the threshold sweep give what the published code gives."""

import numpy as np
import pytest
import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from oracles.labels import first_dip
from tests.golden_cases import GoldenCase, load_case
from tests.goldens.published_network import build
from weaktr.metrics.scores import scores
from weaktr.models.cam_kinds import FINE, FUSED, CAMKind
from weaktr.models.cam_network import CAMNetwork
from weaktr.pseudo_labels.background import cam_to_label
from weaktr.pseudo_labels.background_sweep import BackgroundSweep
from weaktr.pseudo_labels.multi_scale_cam import multi_scale_cams, patch_cams, scaled_input

REFINED = CAMKind("refined", "", "affinity × coarse", lambda maps: maps.propagate(maps.coarse))
KINDS = {"cam": FINE, "cam_norefine": FUSED, "cam_patchcam": REFINED}


def refiner(case: GoldenCase) -> CAMNetwork:
    network = build(case)
    network.mean, network.std = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    return network


def test_network_inputs() -> None:
    case = load_case("refine_ms")
    network = refiner(case)
    image = case.tensors["image"].numpy().astype(np.uint8)
    for i, scale in enumerate(case.hyper["scales"]):
        x = scaled_input(network, image, scale)[None]
        torch.testing.assert_close(x, case.tensors[f"ms.{2 * i}"])
        torch.testing.assert_close(x.flip(-1), case.tensors[f"ms.{2 * i + 1}"])


def test_affinity_refinement_of_each_input() -> None:
    case = load_case("refine_ms")
    network = refiner(case)
    for i in range(case.hyper["n_inputs"]):
        with torch.inference_mode():
            (cam,) = patch_cams(network, case.tensors[f"ms.{i}"])
        case.check(f"lowres.{i}", cam)


@pytest.mark.parametrize("name", KINDS)
def test_multi_scale_refinement(name: str) -> None:
    case = load_case("refine_ms")
    image = case.tensors["image"].numpy().astype(np.uint8)
    present = case.tensors["target"][0].nonzero().flatten().tolist()
    ((cams,),) = multi_scale_cams(
        refiner(case), [image], [present], scales=case.hyper["scales"], kinds=[KINDS[name]]
    )
    assert list(cams.classes) == case.tensors["keys"].tolist()
    case.check(name, cams.full())
    others = set(KINDS) - {name}
    assert all(case.error(other, cams.full()) > 1e-2 for other in others)


@pytest.mark.parametrize("name", ["cam_to_label", "cam_to_label_ties"])
def test_cam_to_label(name: str) -> None:
    case = load_case(name)
    for t, expected in zip(case.tensors["t"].tolist(), case.tensors["label"], strict=True):
        label = cam_to_label(case.tensors["cam"], case.tensors["keys"].tolist(), t)
        assert label.dtype == torch.uint8
        assert torch.equal(label.long(), expected)


def test_labels_scores_and_curve() -> None:
    case = load_case("miou_eval")
    classes = case.hyper["num_cls"] - 1
    sweep = BackgroundSweep(classes)
    for i in range(case.hyper["n_images"]):
        cams, keys = case.tensors[f"cam.{i}"], case.tensors[f"keys.{i}"].tolist()
        label = cam_to_label(cams, keys, case.hyper["t0"])
        assert torch.equal(label.long(), case.tensors[f"pred.{i}"])
        sweep.update(cams, keys, case.tensors[f"gt.{i}"].to(torch.uint8))

    case.check("curve_miou", torch.from_numpy(sweep.miou()))
    matrix = sweep.confusion()[sweep.thresholds.index(case.hyper["t0"])]
    for name, counts in (("tp", matrix.diagonal()), ("p", matrix.sum(0)), ("t", matrix.sum(1))):
        assert counts.tolist() == case.tensors[name].tolist()
    names = tuple(map(str, range(classes + 1)))
    assert scores(matrix, names).mean_iou == pytest.approx(float(case.tensors["summary"][0]))


def test_sweep_finds_what_the_published_one_misses() -> None:
    case = load_case("miou_eval")
    sweep = BackgroundSweep(case.hyper["num_cls"] - 1)
    for i in range(case.hyper["n_images"]):
        tensors = [case.tensors[f"{name}.{i}"] for name in ("cam", "keys", "gt")]
        sweep.update(tensors[0], tensors[1].tolist(), tensors[2].to(torch.uint8))

    stop = first_dip(sweep.miou().tolist())
    published = torch.tensor([sweep.miou()[stop], sweep.thresholds[stop]])
    case.check("whole_eval", published)
    case.check("whole_eval_curve", torch.from_numpy(sweep.miou()[: stop + 2]))
    assert published.tolist() == pytest.approx([69.58, 0.61], abs=0.01)
    best = sweep.best()
    assert best.background_score == 0.66
    assert best.miou == pytest.approx(float(case.tensors["curve_miou"].max()))
