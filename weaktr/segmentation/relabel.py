"""Label maps from a trained segmenter, for the next round of its training.

Beyond the paper: the segmenter's own predictions, cut to the tags of each image, replace the
pseudo-labels that it learned from. Nothing but tags is looked at.
"""

import torch

from weaktr.config.decoder import DecoderParams
from weaktr.data.manifest import Manifest, Record
from weaktr.data.masks import write_mask
from weaktr.journal import ImageJournal
from weaktr.models.segmenter import Segmenter
from weaktr.segmentation.look import Seen
from weaktr.segmentation.probabilities import best_labels
from weaktr.segmentation.records import each_record
from weaktr.segmentation.sliding_window import InferenceSettings


def relabel(
    model: Segmenter,
    manifest: Manifest,
    params: DecoderParams,
    journal: ImageJournal,
    *,
    threads: int,
) -> None:
    """Writes one palette PNG for every image of a manifest, or of this process's share of it.

    Windows are as large as the crops of training, with a stride of two thirds; each scale is run
    with its flip. A pixel becomes background or the likeliest class among the image's tags.

    Args:
        model: In evaluation mode; inputs go to its device.
        manifest: The images and their tags.
        params: The `decoder` section: `crop_size`, `augment.short_side` and `relabel_scales`.
        journal: Gets `<id>.png`; images that it has are not labelled again.
        threads: Images that are read and labelled side by side while the network runs.

    Raises:
        UserError: If an image cannot be read.
    """
    settings = InferenceSettings(
        window=params.crop_size,
        stride=max(1, 2 * params.crop_size // 3),
        short_side=params.augment.short_side,
        scales=params.relabel_scales,
    )
    column = {name: label for label, name in enumerate(manifest.classes, start=1)}

    @torch.inference_mode()
    def finish(record: Record, seen: Seen) -> str:
        masks = seen.passes[0].masks
        allowed = torch.zeros(1, masks.shape[1], dtype=torch.bool)
        allowed[:, [0, *(column[tag] for tag in record.tags)]] = True
        labels, _ = best_labels(seen.passes, seen.size, allowed.to(masks.device))
        write_mask(journal.new_path(record.id), labels[0].cpu().numpy())
        return record.id

    journal.resume(lambda id_, note: None)
    journal.tell(len(manifest))
    for id_ in each_record(
        model,
        manifest.records,
        settings,
        finish,
        done=journal.done,
        threads=threads,
        title="relabelling",
    ):
        journal.add(id_, None)
