"""`weaktr`: what a user with a trained model or a new data set calls.

Every command is the function of its module's name, which imports what it needs when it runs:
`weaktr --help` loads neither torch nor mlflow.
"""

from typing import Annotated

import typer

from weaktr import __version__
from weaktr.cli.cam import cam
from weaktr.cli.check_data import check_data
from weaktr.cli.export import export
from weaktr.cli.extras import missing_extra
from weaktr.cli.heads import heads
from weaktr.cli.import_checkpoint import import_checkpoint
from weaktr.cli.masks_from import masks_from
from weaktr.cli.masks_to import masks_to
from weaktr.cli.params import params
from weaktr.cli.predict import predict
from weaktr.cli.recipes import recipes
from weaktr.cli.register import register
from weaktr.cli.report import report
from weaktr.cli.review import review
from weaktr.cli.runs import runs
from weaktr.cli.ui import ui
from weaktr.errors import one_sentence

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (
    check_data,
    predict,
    cam,
    heads,
    review,
    masks_to,
    masks_from,
    export,
    import_checkpoint,
    register,
    recipes,
    params,
    runs,
    report,
    ui,
):
    app.command()(command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"weaktr {__version__}")
        raise typer.Exit


@app.callback()
def weaktr(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """From image-level tags to segmentation masks.

    `dvc repro` trains; these commands check data before it and use models after it.
    """


def main() -> None:
    """The console script."""
    with one_sentence(), missing_extra():
        app(prog_name="weaktr")


if __name__ == "__main__":
    main()
