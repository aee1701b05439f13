"""Reading an HTTP/1 answer strictly: a bounded head, and chunks that end properly (RFC 9112; threats F12, finding 2).

The standard library accepts a head that was cut, reads megabytes of header lines, and takes `-1` for a chunk size. It still
parses the head here; this module decides which lines reach it.
"""

from __future__ import annotations

import http.client
import re
import socket
from typing import BinaryIO, Final

from protocol.fetch.failures import failure

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}( [^\r\n]*)?\r?\n")
_HEADER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r?\n")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?\r?\n")
_BLANK_LINES: Final = (b"\r\n", b"\n")


class BoundedLines:
    """Reads lines from a stream until a number of bytes is used up; a line without its end is an error."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self.stream = stream
        self._left = limit

    def read_line(self) -> bytes:
        """Return one line with its end; raises `FetchError` headers_too_large or incomplete."""
        line = self.stream.readline(self._left + 1)
        if len(line) > self._left:
            raise failure("headers_too_large")
        if not line.endswith(b"\n"):
            raise failure("incomplete", "the connection ended inside the header")
        self._left -= len(line)
        return line


class HeadReader(BoundedLines):
    """What the standard library reads the head from: only well-formed status and header lines pass."""

    _status_line_next = True

    def readline(self, _size: int = -1) -> bytes:
        """Return one line of the head; raises `FetchError` malformed, headers_too_large or incomplete."""
        line = self.read_line()
        if line in _BLANK_LINES and not self._status_line_next:
            # After an interim 100 another status line follows.
            self._status_line_next = True
            return line
        pattern = _STATUS_LINE if self._status_line_next else _HEADER_LINE
        self._status_line_next = False
        if not pattern.fullmatch(line):
            raise failure("malformed", repr(line[:80]))
        return line

    def flush(self) -> None:
        """Part of what the standard library expects of a stream."""

    def close(self) -> None:
        """Close the stream below."""
        self.stream.close()


class StrictHttpResponse(http.client.HTTPResponse):
    """`http.client.HTTPResponse` with a bounded, well-formed head, no cookies, and our own reading of chunks."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None, *, head_limit: int
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._stream: BinaryIO = self.fp
        self._head_limit = head_limit
        self._chunk_left = 0
        # Chunk sizes and trailers share one budget, so one-byte chunks cannot keep us busy.
        self._chunk_lines = BoundedLines(self._stream, head_limit)

    def begin(self) -> None:
        """Read the head; raises `FetchError` and `http.client.HTTPException`."""
        self.fp = HeadReader(self._stream, self._head_limit)  # type: ignore[assignment]
        super().begin()
        self.fp = self._stream  # type: ignore[assignment]
        # Dropped before requests can parse or keep them.
        for name in ("Set-Cookie", "Set-Cookie2"):
            del self.headers[name]

    def read(self, amt: int | None = None) -> bytes:
        """Return up to `amt` bytes of the body, nothing at its end; raises `FetchError`."""
        if self.chunked is not True:
            return super().read(amt)
        if self.isclosed() or amt == 0:
            return b""
        if self._chunk_left == 0 and not self._next_chunk():
            self.close()
            return b""
        wanted = self._chunk_left if amt is None else min(amt, self._chunk_left)
        data = self._stream.read(wanted)
        if len(data) < wanted:
            raise failure("incomplete", "the connection ended inside a chunk")
        self._chunk_left -= wanted
        if self._chunk_left == 0 and self._chunk_lines.read_line() not in _BLANK_LINES:
            raise failure("malformed", "a chunk is longer than it says")
        return data

    def _next_chunk(self) -> bool:
        """Read a chunk size; False after the last chunk and its trailers."""
        line = self._chunk_lines.read_line()
        size = _CHUNK_LINE.fullmatch(line)
        if size is None:
            raise failure("malformed", f"chunk size {line[:80]!r}")
        self._chunk_left = int(size[1], 16)
        if self._chunk_left:
            return True
        while self._chunk_lines.read_line() not in _BLANK_LINES:
            pass
        return False
