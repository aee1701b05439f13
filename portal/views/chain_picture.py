"""The picture of a trust chain: boxes and lines for an inline SVG that needs neither style nor script (portal.md 5.12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from federation.trust_report import Hop, Place, Standing, TrustReport

# As many boxes as fit beside each other with text of full size.
_MOST_ABREAST: Final = 4
_ROW_WIDTH, _COLUMN_WIDTH, _WIDEST = 892, 320, 280
_HEIGHT, _GAP = 88, 44
# Monospaced text of 14 pixels.
_LETTER: Final = 8.5
_PADDING: Final = 12


@dataclass(frozen=True, slots=True)
class Box:
    """One entity. `lines` are always two, so that the picture of a chain looks the same whatever its names are."""

    number: int
    x: int
    y: int
    width: int
    height: int
    role: str
    name: str
    lines: tuple[str, str]
    tone: str


@dataclass(frozen=True, slots=True)
class Line:
    """From the entity `number` to its superior. A broken one has a cross in the middle."""

    number: int
    x1: int
    y1: int
    x2: int
    y2: int
    dashed: bool
    broken: bool

    @property
    def middle(self) -> tuple[int, int]:
        """Return where the cross is."""
        return (self.x1 + self.x2) // 2, (self.y1 + self.y2) // 2

    @property
    def cross(self) -> str:
        """Return the path of the cross."""
        x, y = self.middle
        return f"M{x - 6} {y - 6}l12 12m0-12l-12 12"


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing, and in words what it shows."""

    kind: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    description: str


def draw_chain(report: TrustReport, *, of_app: bool = True) -> list[Picture]:
    """Return the drawing for narrow pages, and for a short chain another for wide ones; `of_app` says that it begins at an app of here."""
    if not report.hops:
        return []
    pictures = [_draw(report, abreast=False, of_app=of_app)]
    if len(report.hops) <= _MOST_ABREAST:
        pictures.append(_draw(report, abreast=True, of_app=of_app))
    return pictures


def _draw(report: TrustReport, *, abreast: bool, of_app: bool) -> Picture:
    count = len(report.hops)
    width = min(_WIDEST, (_ROW_WIDTH - _GAP * (count - 1)) // count) if abreast else _COLUMN_WIDTH
    step = (width + _GAP, 0) if abreast else (0, _HEIGHT + _GAP)
    boxes = tuple(_box(hop, number, step, width, report, of_app=of_app) for number, hop in enumerate(report.hops, 1))
    lines = tuple(_line(box, step, report) for box in boxes[:-1])
    last = boxes[-1]
    kind = "wide" if abreast else ""
    # One pixel more on every side, so that no border is cut off.
    return Picture(kind, last.x + last.width + 1, last.y + last.height + 1, boxes, lines, _describe(report, of_app=of_app))


def _box(hop: Hop, number: int, step: tuple[int, int], width: int, report: TrustReport, *, of_app: bool) -> Box:
    x, y = (1 + distance * (number - 1) for distance in step)
    name = hop.entity.removeprefix("https://")
    return Box(number, x, y, width, _HEIGHT, role_of(hop.place, of_app=of_app), hop.entity, _wrapped(name, width), _tone(hop, report))


def _tone(hop: Hop, report: TrustReport) -> str:
    if report.failure is not None and hop.failed:
        return "red"
    return "blue" if hop.place is Place.ANCHOR else "grey"


def _line(box: Box, step: tuple[int, int], report: TrustReport) -> Line:
    across, down = step
    x = box.x + (box.width if across else box.width // 2)
    y = box.y + (_HEIGHT // 2 if across else _HEIGHT)
    broken = box.number == _broken_link(report)
    dashed = broken or report.standing in (Standing.STALE, Standing.SUSPECT, Standing.EXPIRED)
    return Line(box.number, x, y, x + (_GAP if across else 0), y + (_GAP if down else 0), dashed, broken)


def _broken_link(report: TrustReport) -> int:
    """Return the number of the lower entity of the link that does not hold, 0 when all hold.

    A superior at fault fails towards the entity that it vouches for.
    """
    if report.standing not in (Standing.SUSPECT, Standing.BROKEN):
        return 0
    failed: Sequence[int] = [number for number, hop in enumerate(report.hops) if hop.failed]
    return max(failed[0], 1) if failed else 1


def _wrapped(name: str, width: int) -> tuple[str, str]:
    """Return a name on two lines, the second cut where the box ends; the list beside the picture has all of it."""
    room = int((width - 2 * _PADDING) / _LETTER)
    first, rest = name[:room], name[room:]
    host, slash, path = name.partition("/")
    if slash and len(host) < room:
        first, rest = host + slash, path
    return first, rest if len(rest) <= room else rest[: room - 1] + "…"


def role_of(place: Place, *, of_app: bool = True) -> str:
    """Return what an entity is in the chain."""
    return {
        Place.SUBJECT: _("This app") if of_app else _("This entity"),
        Place.INTERMEDIATE: _("Intermediate"),
        Place.ANCHOR: _("Trust anchor"),
    }[place]


def _describe(report: TrustReport, *, of_app: bool) -> str:
    names = ", ".join(hop.entity for hop in report.hops)
    words = _("From the app to the trust anchor: %(names)s. The list below says the same.")
    if not of_app:
        words = _("From the entity up: %(names)s. The list below says the same.")
    return words % {"names": names}
