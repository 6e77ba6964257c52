"""`make bench`: each step against its straightforward version -> docs/benchmarks.md and .json.

On a GPU it is docs/benchmarks-gpu.md and .json.
"""

import argparse
import importlib
import platform
import time
from itertools import groupby
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.cases import Case
from benchmarks.limits import DTYPES, Rates, measure_rates, scaled
from benchmarks.results import Results, Row
from benchmarks.run import run_case
from benchmarks.table import compare, markdown, print_family
from weaktr.device import choose_device, set_threads
from weaktr.errors import UserError, one_sentence
from weaktr.files import write_text

FAMILIES = (
    "cam_step",
    "decoder_step",
    "loader",
    "fusion",
    "affinity",
    "export",
    "evaluation",
    "crf",
    "sweep",
    "metrics",
    "indexing",
    "startup",
)
CPU_ONLY = ("indexing", "startup")
"""Families in which a GPU has no part."""
DOCS = Path(__file__).resolve().parent.parent / "docs"
MARKER = "<!-- measured -->\n"
QUICK = 0.15
SHARES = {"cpu": 1.0, "cuda": 0.15}
"""Of the time that cases ask for on two cores; steps are tens of times shorter on a GPU."""


def machine(device: torch.device) -> str:
    """The machine in one line."""
    lines = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in lines.splitlines() if "model name" in line]
    threads = torch.get_num_threads()
    count = f"{threads} thread{'s' if threads > 1 else ''}"
    cpu = f"{names[0] if names else platform.processor()}, {count}"
    flags = next((line for line in lines.splitlines() if line.startswith("flags")), "")
    extras = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags]
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    return f"{cpu}{', ' + ', '.join(extras) if extras else ''}; {gpu}; torch {torch.__version__}"


def page(device: torch.device) -> Path | None:
    """The page of what was measured on such a device, with the numbers beside it, if it has one."""
    name = {"cpu": "benchmarks.md", "cuda": "benchmarks-gpu.md"}.get(device.type)
    return None if name is None else DOCS / name


def describe_rates(rates: Rates) -> tuple[str, ...]:
    """The measured ceilings, one sentence for each number of threads."""
    lines = []
    for threads in sorted(rates.bandwidth, reverse=True):
        products = ", ".join(
            f"{scaled(rates.matmul[name, threads])}FLOP/s in {name}" for name in DTYPES
        )
        copy = f"{scaled(rates.bandwidth[threads])}B/s"
        where = f"{threads} thread{'s' if threads > 1 else ''}"
        lines.append(f"Limits on {where}: products {products}; memory {copy}")
    return tuple(lines)


def all_cases(device: torch.device) -> list[Case]:
    """Every case, in the order of the page."""
    left_out = CPU_ONLY if device.type != "cpu" else ()
    names = [name for name in FAMILIES if name not in left_out]
    modules = [importlib.import_module(f"benchmarks.{name}") for name in names]
    return [case for module in modules for case in module.cases(device)]


def chosen_cases(text: str, device: torch.device) -> list[Case]:
    """Cases whose family or name has the text in it.

    Raises:
        UserError: If there are none.
    """
    cases = all_cases(device)
    found = [case for case in cases if text.lower() in case.title.lower()]
    if not found:
        titles = "; ".join(case.title for case in cases)
        raise UserError(f"--rows: nothing is called {text!r}; there are: {titles}.")
    return found


def _refuse_places(arguments: argparse.Namespace) -> None:
    """Refuses, ahead of the measuring, places that nothing can be written to after it."""
    if arguments.save is not None:
        if arguments.save.is_dir():
            raise UserError(f"--save {arguments.save} is a folder; name a file.")
        arguments.save.parent.mkdir(parents=True, exist_ok=True)
    if arguments.trace is not None:
        arguments.trace.mkdir(parents=True, exist_ok=True)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measures the chosen cases, prints them as they come, and writes them if they are all."""
    device = torch.device(choose_device(arguments.device, given_as="--device"))
    set_threads(0)
    _refuse_places(arguments)
    cases = chosen_cases(arguments.rows, device)
    share = SHARES.get(device.type, 1.0) * (QUICK if arguments.quick else 1.0)
    minutes = share * sum(case.seconds for case in cases) / 60
    rates = measure_rates(device)
    rows: list[Row] = []
    notes: dict[str, tuple[str, ...]] = {}
    for line in (machine(device), *describe_rates(rates)):
        console.print(line)
    console.print(f"Up to {minutes:.1f} minutes of timing; warming up comes on top.")
    missing = False
    for family, members in groupby(cases, key=lambda case: case.family):
        for case in members:
            begun = time.monotonic()
            try:
                own, said = run_case(case, device, rates, share=share, traces=arguments.trace)
            except UserError as error:
                console.print(f"{case.title}: not measured. {error}")
                missing = True
                continue
            rows += own
            notes[family] = tuple(dict.fromkeys((*notes.get(family, ()), *said)))
            console.print(f"{case.title}: {time.monotonic() - begun:.0f} s", style="dim")
        found = [row for row in rows if row.family == family]
        print_family(family, found, notes.get(family, ()), console)
    results = Results(
        machine=machine(device),
        rates=describe_rates(rates),
        rows=tuple(rows),
        notes=notes,
    )
    if arguments.save is not None:
        results.save(arguments.save)
    written = page(device)
    if arguments.rows or arguments.quick or missing or written is None:
        console.print("\nNo page is written: it takes a whole run of all rows, on a CPU or CUDA.")
        return
    results.save(written.with_suffix(".json"))
    head, marker, _ = written.read_text(encoding="utf-8").partition(MARKER)
    write_text(written, head + marker + markdown(results))


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--rows", default="", metavar="TEXT", help="only rows with this text")
    parser.add_argument("--quick", action="store_true", help="few rounds; writes no page")
    parser.add_argument("--save", type=Path, metavar="FILE", help="also save as JSON here")
    parser.add_argument(
        "--trace", type=Path, metavar="FOLDER", help="write a Chrome trace of each step"
    )
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="measure nothing; compare with saved results"
    )
    arguments = parser.parse_args()
    console = Console(highlight=False)
    with one_sentence():
        if arguments.compare is not None:
            before = Results.load(arguments.compare)
            kept = "benchmarks.json" if before.machine.count("no GPU") else "benchmarks-gpu.json"
            compare(before, Results.load(DOCS / kept), console)
        else:
            run(arguments, console)


if __name__ == "__main__":
    main()
