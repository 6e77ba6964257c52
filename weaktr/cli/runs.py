"""`weaktr runs`: results side by side."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from weaktr.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from weaktr.experiments.results_table import ResultRow

NAME_WIDTH, PARAM_WIDTH = 26, 16
"""Least columns of a terminal for a result's name, and for one param."""


def runs(
    experiment: Annotated[
        str, typer.Option(help="MLflow experiment: runtime.experiment.")
    ] = "weaktr",
    last: Annotated[int, typer.Option(min=1, help="So many of the latest results.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List results side by side, best first.

    One row per result of the pipeline, with the metrics of every step in percent and the params in
    which the results differ. The best value of a column is bold; values of params that are not the
    usual ones are yellow.

    \b
    weaktr runs
    weaktr runs --last 5
    weaktr runs --json | jq '.[0].metrics'
    """
    from rich.console import Console

    from weaktr.experiments.results_table import FIRST, result_rows
    from weaktr.experiments.store import existing_store

    client = existing_store("weaktr runs")
    found = client.get_experiment_by_name(experiment)
    rows = [] if found is None else result_rows(client, found.experiment_id, most=last)
    if not rows:
        raise UserError(
            f"the store has no finished results in the experiment {experiment!r}; "
            "run `dvc repro`, or name another with --experiment."
        )
    rows.sort(key=lambda row: row.metrics.get(FIRST[0], float("-inf")), reverse=True)
    if as_json:
        typer.echo(json.dumps([vars(row) for row in rows], indent=2, ensure_ascii=False))
    else:
        console = Console()
        console.print(table(rows, console.width))


def table(rows: "Sequence[ResultRow]", width: int) -> "Table":
    """The table of some results, in their order.

    Args:
        rows: The results.
        width: Columns of the terminal; as many params are shown as leave room for names.
    """
    from rich.table import Table
    from rich.text import Text

    from weaktr.experiments.results_table import differing_params, metric_columns, usual_values

    metrics = metric_columns(rows)
    taken = NAME_WIDTH + sum(2 + max(map(len, name.split("/"))) for name in metrics)
    params = differing_params(rows)[: max(0, (width - taken) // PARAM_WIDTH)]
    usual = usual_values(rows, params)
    best = {name: max(row.metrics.get(name, float("-inf")) for row in rows) for name in metrics}
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("result", min_width=NAME_WIDTH)
    for name in metrics:
        made.add_column(name.replace("/", "\n"), justify="right", no_wrap=True)
    for name in params:
        made.add_column("\n".join(name.rsplit(".", 1)), max_width=PARAM_WIDTH, overflow="fold")
    for row in rows:
        cells = [Text(row.name)]
        for name in metrics:
            value = row.metrics.get(name)
            style = "bold green" if value == best[name] else ""
            cells.append(Text("" if value is None else f"{value:.1f}", style=style))
        for name in params:
            text = row.params.get(name, "")
            cells.append(Text(text, style="" if text == usual[name] else "yellow"))
        made.add_row(*cells)
    return made
