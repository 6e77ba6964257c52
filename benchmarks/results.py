"""Measured rows, kept as JSON so that two days can be compared."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Spread
from weaktr.errors import UserError
from weaktr.files import read_json, write_json


@dataclass(frozen=True, kw_only=True)
class Row:
    """One of our steps against one reference.

    Attributes:
        family: What is measured.
        setting: Sizes and precision.
        seconds: Ours, for one step, image or sample.
        against: Name of the reference, if there is one.
        against_seconds: The reference's.
        faster: How many times longer the reference took, round by round.
        rounds: How many there were.
        steady: Whether the median of `faster` is known to 5 %.
        mib: Peak memory of ours beyond what was there.
        against_mib: The reference's.
        limit: Work that cannot be avoided, in words.
        limit_seconds: What this machine needs for it at best.
    """

    family: str
    setting: str
    seconds: Spread
    against: str | None = None
    against_seconds: Spread | None = None
    faster: Spread | None = None
    rounds: int
    steady: bool
    mib: float | None = None
    against_mib: float | None = None
    limit: str | None = None
    limit_seconds: float | None = None

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What the row of another day has in common with it."""
        return self.family, self.setting, self.against

    @property
    def of_limit(self) -> float | None:
        """The least time there could be, as a share of ours."""
        return None if self.limit_seconds is None else self.limit_seconds / self.seconds.median


@dataclass(frozen=True, kw_only=True)
class Results:
    """All rows of a run.

    Attributes:
        machine: In one line.
        rates: Measured ceilings, in words.
        rows: In the order of the table.
        notes: Sentences, by family.
    """

    machine: str
    rates: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: dict[str, tuple[str, ...]]

    def families(self) -> dict[str, list[Row]]:
        """Rows by family."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.family, []).append(row)
        return found

    def save(self, path: Path) -> None:
        """Writes JSON, with seconds and ratios to four digits."""
        rows = [_rounded(asdict(row)) for row in self.rows]
        content = {"machine": self.machine, "rates": self.rates, "rows": rows, "notes": self.notes}
        write_json(path, content)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Reads what `save` wrote.

        Raises:
            UserError: If the file is missing or holds no results.
        """
        try:
            content = read_json(path)
            return cls(
                machine=content["machine"],
                rates=tuple(content["rates"]),
                rows=tuple(_row(row) for row in content["rows"]),
                notes={name: tuple(notes) for name, notes in content["notes"].items()},
            )
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                f"{path} holds no results of `python -m benchmarks`; give a file that it wrote, "
                "such as docs/benchmarks.json of another day."
            ) from None


def _row(content: dict[str, Any]) -> Row:
    spreads = ("seconds", "against_seconds", "faster")
    given = {name: Spread(*content[name]) if content[name] else None for name in spreads}
    return Row(**{**content, **given})


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
