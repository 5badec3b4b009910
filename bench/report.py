"""Results: figures of several rounds, their medians, tables and charts."""

import statistics
from dataclasses import dataclass, field

Row = list[str]


class Rows:
    """Figures by setting and contender. Each has one for every round, and counts by its median."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self._figures: dict[str, dict[str, list[float]]] = {}

    @property
    def settings(self) -> list[str]:
        return list(self._figures)

    def add(self, setting: str, name: str, figure: float) -> None:
        self._figures.setdefault(setting, {}).setdefault(name, []).append(figure)

    def names(self, setting: str) -> list[str]:
        return list(self._figures[setting])

    def median(self, setting: str, name: str) -> float | None:
        """Return the median of all rounds; None when there was none."""
        figures = self._figures.get(setting, {}).get(name)
        return statistics.median(figures) if figures else None


@dataclass(frozen=True)
class Bars:
    """A bar chart: one bar for each name."""

    title: str
    unit: str
    values: list[tuple[str, float]]
    # The names whose bars are coloured.
    own: frozenset[str] = frozenset()


@dataclass
class Part:
    """The result of one part: what was measured, its table with a head, its charts, and remarks."""

    title: str
    about: str
    table: list[Row]
    charts: list[Bars] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    # Contenders that lost or doubled a message, or refused sockets. The bench fails because of them.
    failures: list[str] = field(default_factory=list)


def times(own: float | None, other: float | None) -> str:
    """Return a ratio of two figures for a table, or a dash when one is missing."""
    return f"{own / other:.2f}" if own is not None and other else "–"


def percentile(sorted_values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def as_text(part: Part) -> str:
    """Return a part's table with aligned columns, for a terminal."""
    if not part.table:
        return part.title
    widths = [max(len(row[column]) for row in part.table) for column in range(len(part.table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in part.table]
    return "\n".join([part.title, *lines, *part.remarks, *part.failures])
