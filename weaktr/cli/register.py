"""`weaktr register`: a name for a model in MLflow's registry."""

from typing import Annotated

import typer


def register(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="runs:/<run id>/segmenter (or /cam).", show_default=False
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    alias: Annotated[
        str | None, typer.Option(help="A name for this version: models:/NAME@ALIAS.")
    ] = None,
) -> None:
    """Name a model in MLflow's registry.

    The id of the run that trained a model is in reports/train_decoder/run.json.

    \b
    weaktr register runs:/3f2a.../segmenter animals --alias best
    weaktr predict models:/animals@best photos/
    """
    from weaktr.experiments.model_uri import register_model

    version = register_model(run, name, alias=alias)
    typer.echo(f"models:/{name}/{version}")
