"""Whether pretrained weights can be had from the Hugging Face hub, asked before the work begins."""

from collections.abc import Mapping

import timm
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError

from weaktr.errors import UserError

NAMES = ("model.safetensors", "pytorch_model.bin")
"""Files that timm looks for in a repository, in this order."""
PATIENCE = 10
"""Seconds until a hub that does not answer counts as out of reach."""


def require_hub(models: Mapping[str, str], *, later: Mapping[str, str] | None = None) -> str:
    """Refuses at once what cannot be fetched; timm's own attempts take most of a minute.

    Args:
        models: Section of the params, such as `cam.backbone` -> timm's name of a model whose
            weights are needed now.
        later: The same for weights that will be needed: a refusal names them too.

    Returns:
        A sentence of warning where only later ones cannot be had, else nothing.

    Raises:
        UserError: If weights in `models` are neither in the hub's cache nor within reach; the
            sentence names every file to fetch and the params to set.
    """
    needed = {place: name for place, name in {**models, **(later or {})}.items() if _absent(name)}
    if not needed:
        return ""
    reason = _out_of_reach(next(iter(needed.values())))
    if not reason:
        return ""
    sentence = _sentence(needed, reason)
    if needed.keys() & models.keys():
        raise UserError(sentence)
    return sentence


def _absent(name: str) -> bool:
    """Whether a model has weights on the hub, and the hub's cache does not have them."""
    repository = _repository(name)
    if repository is None:
        return False
    files = (_file_name(name), *NAMES)
    return not any(isinstance(try_to_load_from_cache(repository, file), str) for file in files)


def _repository(name: str) -> str | None:
    cfg = timm.get_pretrained_cfg(name)
    return cfg.hf_hub_id if cfg is not None and cfg.has_weights else None


def _file_name(name: str) -> str:
    cfg = timm.get_pretrained_cfg(name)
    return (cfg and cfg.hf_hub_filename) or NAMES[0]


def weights_url(name: str) -> str:
    """Where the weights of a model that is on the hub can be fetched by hand."""
    return hf_hub_url(str(_repository(name)), _file_name(name))


def _out_of_reach(name: str) -> str:
    """Why the hub cannot be asked for a model's weights; empty where it answers."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        get_hf_file_metadata(weights_url(name), timeout=PATIENCE)
    except HfHubHTTPError:  # It answers; what it says is timm's affair, which knows other names.
        return ""
    except Exception as error:  # The client raises the errors of whatever it is built on.
        reason = " ".join(str(error).split()).rstrip(".")
        return f"{constants.ENDPOINT} cannot be reached ({reason or type(error).__name__})"
    return ""


def _sentence(needed: Mapping[str, str], reason: str) -> str:
    names = list(dict.fromkeys(needed.values()))
    places = {name: [f"{key}.weights" for key in needed if needed[key] == name] for name in names}
    files = "; ".join(
        f"{weights_url(name)}, put it at data/pretrained/{name}.safetensors and set "
        f"{' and '.join(places[name])} to that path"
        for name in names
    )
    return (
        f"The pretrained weights of {' and '.join(names)} are not on this machine, and {reason}: "
        f"where there is a network, download {files}."
    )
