"""`weaktr register`: a name for a model in MLflow's registry."""

from typing import Annotated

import typer


def register(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="runs:/<run id>/segmenter, of a result (or /cam, of a stage run of train_cam).",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    alias: Annotated[
        str | None, typer.Option(help="A name for this version: models:/NAME@ALIAS.")
    ] = None,
) -> None:
    """Name a model in MLflow's registry.

    `weaktr runs --json` and MLflow's page have the ids of results.

    \b
    weaktr register runs:/3f2a.../segmenter animals --alias best
    weaktr predict models:/animals@best photos/
    """
    from weaktr.experiments.model_uri import register_model

    version = register_model(run, name, alias=alias)
    typer.echo(f"models:/{name}/{version}")
