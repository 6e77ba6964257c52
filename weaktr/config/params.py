"""All sections of `params.yaml`."""

from weaktr.config.cam import CamParams
from weaktr.config.dataset import DatasetParams
from weaktr.config.decoder import DecoderParams
from weaktr.config.evaluation import EvaluationParams
from weaktr.config.labels import LabelParams
from weaktr.config.runtime import RuntimeParams
from weaktr.config.values import Section, Seed


class Params(Section):
    """The whole of `params.yaml`."""

    dataset: DatasetParams = DatasetParams()
    seed: Seed = 0
    """Of initial weights, order of images, augmentation, dropout and drop path, in both
    trainings."""
    cam: CamParams = CamParams()
    labels: LabelParams = LabelParams()
    decoder: DecoderParams = DecoderParams()
    evaluation: EvaluationParams = EvaluationParams()
    runtime: RuntimeParams = RuntimeParams()
