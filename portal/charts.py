"""Stacked columns as an inline SVG that needs neither style nor script: pure arithmetic (portal.md 5.12).

Places across are percentages and heights are pixels, so that one drawing fits every width and its text keeps its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEIGHT: Final = 220
_TOP, _BOTTOM = 14, 186
# Across, in per cent: room for the numbers of the scale, and the air between columns.
_LEFT: Final = 10.0
_AIR: Final = 0.24
_LABEL_EVERY: Final = 3
_STEPS: Final = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Series:
    """What one colour stands for, and its value for every column. A `hollow` one is only outlined, so that no colour is needed alone."""

    name: str
    tone: str
    values: tuple[int, ...]
    hollow: bool = False

    @property
    def total(self) -> int:
        """Return the sum of all columns."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Bar:
    """One piece of a column. `x` and `width` are per cent, `y` and `height` pixels; `title` says what it stands for."""

    x: str
    y: str
    width: str
    height: str
    tone: str
    hollow: bool
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A number of the scale, or the label of a column, with its place."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One column in the table that says the same."""

    label: str
    values: tuple[int, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its legend, the sentence that says what it shows, and the same numbers as rows."""

    name: str
    title: str
    description: str
    height: int
    bars: tuple[Bar, ...]
    scale: tuple[Mark, ...]
    labels: tuple[Mark, ...]
    series: tuple[Series, ...]
    rows: tuple[Row, ...]

    @property
    def total(self) -> int:
        """Return the sum of everything."""
        return sum(one.total for one in self.series)


def draw_columns(name: str, title: str, description: str, labels: Sequence[str], series: Sequence[Series]) -> Chart:
    """Return stacked columns, one for each label. Raises ValueError for a series of another length, or a negative value."""
    if any(len(one.values) != len(labels) or min(one.values, default=0) < 0 for one in series):
        raise ValueError("every series has one value that is not negative for each label")
    totals = [sum(one.values[column] for one in series) for column in range(len(labels))]
    top = nice_top(max(totals, default=0))
    return Chart(
        name=name,
        title=title,
        description=description,
        height=HEIGHT,
        bars=tuple(bar for column, label in enumerate(labels) for bar in _column(column, label, len(labels), series, top)),
        scale=tuple(Mark(_number(_height_of(value, top)), f"{value:,}") for value in (0, top // 2, top) if value == 0 or value),
        labels=tuple(
            Mark(f"{_number(_left_of(column, len(labels)))}%", label) for column, label in enumerate(labels) if column % _LABEL_EVERY == 0
        ),
        series=tuple(series),
        rows=tuple(Row(label, tuple(one.values[column] for one in series), totals[column]) for column, label in enumerate(labels)),
    )


def nice_top(highest: int) -> int:
    """Return the even number at the top of a scale that reaches `highest`: 2, 4, 10, 20, 40, 100, and so on."""
    power = 1
    while True:
        for step in _STEPS:
            if (top := 2 * step * power) >= highest:
                return top
        power *= 10


def _column(column: int, label: str, count: int, series: Sequence[Series], top: int) -> list[Bar]:
    width = (100 - _LEFT) / max(count, 1)
    bars, below = [], 0
    for one in series:
        value = one.values[column]
        if value:
            y, floor = _height_of(below + value, top), _height_of(below, top)
            place = _number(_left_of(column, count)), _number(y), _number(width * (1 - _AIR)), _number(max(floor - y, 1))
            bars.append(Bar(f"{place[0]}%", place[1], f"{place[2]}%", place[3], one.tone, one.hollow, f"{label}, {one.name}: {value:,}"))
        below += value
    return bars


def _left_of(column: int, count: int) -> float:
    width = (100 - _LEFT) / max(count, 1)
    return _LEFT + column * width + width * _AIR / 2


def _height_of(value: int, top: int) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * value / top


def _number(value: float) -> str:
    """Return a number as SVG reads it, whatever the language of the page is."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
