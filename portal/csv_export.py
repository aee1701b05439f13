"""Lists as CSV files, streamed, whose cells no spreadsheet takes for a formula (portal.md 5.16)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.http import StreamingHttpResponse

# What a spreadsheet takes for the start of a formula, also in the full width of East Asian letters, or skips before one.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufeff")
# A byte order mark, without which spreadsheets read names as Latin-1.
_MARK: Final = "\ufeff"


def csv_response(filename: str, header: Sequence[object], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """Return `header` and `rows` as the download `filename`, written row by row as they come (RFC 4180).

    `filename` is ASCII and ours, never a partner's text. Moments are written in UTC, None as nothing, everything else as its text.
    """
    lines = _written(header, rows)
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _written(header: Sequence[object], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield _MARK + writer.writerow([plain_cell(cell) for cell in header])
    for row in rows:
        yield writer.writerow([plain_cell(cell) for cell in row])


def plain_cell(value: object) -> str:
    """Return the text of a cell; one that a spreadsheet would calculate gets a leading apostrophe."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
