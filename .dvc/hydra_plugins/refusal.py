"""What `dvc exp run -S` refuses is said in weaktr's one sentence, before anything is written.

DVC loads this file (`hydra.plugins_path` in `.dvc/config`). It wraps a method inside of Hydra;
where that or weaktr is missing, Hydra's own message stays.
"""

import contextlib
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def install() -> None:
    """Wraps the composition of params."""
    from dvc.exceptions import InvalidArgumentError
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    sys.path.insert(0, str(ROOT))
    try:
        from weaktr.config.load import load_params
        from weaktr.errors import UserError
        from weaktr.experiments.overrides import check_composed, explain
    finally:
        sys.path.remove(str(ROOT))
    compose = ConfigLoaderImpl.load_configuration

    def checked(loader: Any, config_name: str, overrides: list[str], *args: Any, **kw: Any) -> Any:
        try:
            try:
                config = compose(loader, config_name, overrides, *args, **kw)
            except HydraException:
                params = load_params(ROOT / "params.yaml").model_dump(exclude_unset=True)
                explain(overrides, params, ROOT)
                raise
            values = OmegaConf.to_container(config)
            own = {key: values[key] for key in values if key != "hydra"}
            check_composed(own, overrides, ROOT)
        except UserError as error:
            raise InvalidArgumentError(str(error)) from None
        return config

    ConfigLoaderImpl.load_configuration = checked


with contextlib.suppress(ImportError, AttributeError):
    install()
