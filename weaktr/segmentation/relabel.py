"""Label maps from a trained segmenter, for the next round of its training.

Beyond the paper: the segmenter's own predictions, cut to the tags of each image, replace the
pseudo-labels that it learned from. Nothing but tags is looked at.
"""

import numpy as np
import torch

from weaktr.config.decoder import DecoderParams
from weaktr.data.images import read_image
from weaktr.data.manifest import Manifest
from weaktr.data.masks import write_mask
from weaktr.distributed import share
from weaktr.journal import ImageJournal
from weaktr.models.segmenter import Segmenter
from weaktr.progress import track
from weaktr.segmentation.look import look
from weaktr.segmentation.probabilities import best_labels
from weaktr.segmentation.sliding_window import InferenceSettings


@torch.inference_mode()
def relabel(
    model: Segmenter, manifest: Manifest, params: DecoderParams, journal: ImageJournal
) -> None:
    """Writes one palette PNG for every image of a manifest, or of this process's share of it.

    Windows are as large as the crops of training, with a stride of two thirds; each scale is run
    with its flip. A pixel becomes background or the likeliest class among the image's tags.

    Args:
        model: In evaluation mode; inputs go to its device.
        manifest: The images and their tags.
        params: The `decoder` section: `crop_size`, `augment.short_side` and `relabel_scales`.
        journal: Gets `<id>.png`; images that it has are not labelled again.

    Raises:
        UserError: If an image cannot be read.
    """
    device = next(model.parameters()).device
    settings = InferenceSettings(
        window=params.crop_size,
        stride=max(1, 2 * params.crop_size // 3),
        short_side=params.augment.short_side,
        scales=params.relabel_scales,
    )
    tagged = torch.from_numpy(manifest.targets()).bool()
    background = torch.ones(len(tagged), 1, dtype=torch.bool)
    allowed = torch.cat((background, tagged), dim=1).to(device)  # [N, K]
    journal.resume(lambda id_, note: None)
    journal.tell(len(manifest))
    left = [i for i, record in enumerate(manifest.records) if record.id not in journal.done]
    for index in track(share(left), "relabelling"):
        record = manifest.records[index]
        (seen,) = look(model, [np.array(read_image(record.image))], settings)
        labels, _ = best_labels(seen.passes, seen.size, allowed[index][None])
        write_mask(journal.path(record.id), labels[0].cpu().numpy())
        journal.add(record.id, None)
