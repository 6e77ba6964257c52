"""`python -m benchmarks`: every step against its reference, here -> docs/benchmarks.md."""

import argparse
import importlib
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row
from weaktr.device import set_threads
from weaktr.errors import UserError
from weaktr.files import write_text

STEPS = ("cam_step", "fusion", "export", "crf", "sweep", "metrics")
PATH = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
COLUMNS = ("step", "setting", "compared with", "seconds", "its seconds", "faster", "memory", "note")


def machine(device: str) -> str:
    """The machine in one line."""
    lines = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in lines.splitlines() if "model name" in line]
    cpu = f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} threads"
    flags = next((line for line in lines.splitlines() if line.startswith("flags")), "")
    extras = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags]
    gpu = torch.cuda.get_device_name(0) if device == "cuda" else "no GPU"
    return f"{cpu}{', ' + ', '.join(extras) if extras else ''}; {gpu}; torch {torch.__version__}"


def cells(row: Row) -> tuple[str, ...]:
    """One row of the table."""
    memory = ""
    if row.peak_mib is not None and row.reference_peak_mib is not None:
        memory = f"{row.peak_mib:.0f} of {row.reference_peak_mib:.0f} MiB"
    return (
        row.step,
        row.setting,
        row.reference,
        f"{row.seconds:.4g}",
        f"{row.reference_seconds:.4g}",
        f"{row.speedup:.2f}x",
        memory,
        row.note,
    )


def markdown(rows: Sequence[Row], device: str) -> str:
    """The table for docs/benchmarks.md."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return f"Measured on: {machine(device)}.\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Runs the benchmarks, prints the table, and writes it below the marker in the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    arguments = parser.parse_args()
    set_threads(int(os.environ.get("OMP_NUM_THREADS", "0")))
    console = Console()
    rows: list[Row] = []
    missing = len(STEPS) - len(arguments.only)
    for step in arguments.only:
        module = importlib.import_module(f"benchmarks.{step}")
        try:
            rows += module.run(torch.device(arguments.device), arguments.repeats)
        except UserError as error:
            console.print(f"{step}: not measured. {error}")
            missing += 1
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*cells(row))
    console.print(table)
    if missing:
        console.print(f"{PATH.name} stays as it is: it takes a run of all steps.")
    else:
        head, marker, _ = PATH.read_text(encoding="utf-8").partition("<!-- measured -->\n")
        write_text(PATH, head + marker + markdown(rows, arguments.device))


if __name__ == "__main__":
    main()
