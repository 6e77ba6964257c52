"""Head weights that are measured on the training images, for `cam.fusion: lift`."""

import torch
from PIL import Image
from torch import Tensor

from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest
from weaktr.distributed import gather_shares, share
from weaktr.models.attention_lift import affinity_lift, class_row_lift, measurable, objects
from weaktr.models.cam_network import CAMNetwork
from weaktr.progress import track
from weaktr.training.cam_transform import to_tensor


@torch.inference_mode()
def measure_lift(model: CAMNetwork, manifest: Manifest, input_size: int) -> tuple[Tensor, Tensor]:
    """Lift of every head over the tags of all images; reads no masks.

    Args:
        model: In evaluation mode.
        manifest: Images with tags.
        input_size: Side in pixels of the square that each image is resized to.

    Returns:
        Of the class rows and of the affinity, `[L, H]` each, on the CPU: means over the tags whose
        coarse CAM shows an object; 0 where none does.
    """
    column = {name: index for index, name in enumerate(manifest.classes)}
    found: list[Tensor] = []
    for record in track(share(manifest.records), "lift"):
        image = read_image(record.image).resize((input_size,) * 2, Image.Resampling.BICUBIC)
        present = [column[tag] for tag in record.tags]
        found.append(_lifts(model, to_tensor(image, model.mean, model.std), present))
    each = torch.cat(gather_shares(found), dim=2).double()
    means = each.mean(dim=2) if each.shape[2] else each.new_zeros(each.shape[:2])
    rows, affinity = means.float().unflatten(1, (len(model.backbone.blocks), -1))
    return rows, affinity


def _lifts(model: CAMNetwork, image: Tensor, present: list[int]) -> Tensor:
    """Of one image `[3, H, W]`: lifts of class rows and affinity, `[2, L * H, K]`."""
    layers = model.layers(image[None].to(next(model.parameters()).device))
    inside = objects(layers.coarse[0, present].flatten(1).float())
    known = measurable(inside)
    inside = inside[known]
    asking = torch.tensor(present, device=inside.device, dtype=torch.long)[known]
    rows, affinities = [], []
    prefix = model.layout.prefix
    for query, key in zip(layers.queries, layers.keys, strict=True):
        tokens = torch.cat((query[0][:, asking], query[0][:, prefix:]), dim=1)
        scores = (tokens * tokens.shape[-1] ** -0.5) @ key[0].mT
        attention = torch.softmax(scores, dim=-1, dtype=torch.float32)[..., prefix:]
        rows.append(class_row_lift(attention[:, : len(asking)], inside))
        affinities.append(affinity_lift(attention[:, len(asking) :], inside))
    return torch.stack([torch.cat(rows), torch.cat(affinities)]).cpu()
