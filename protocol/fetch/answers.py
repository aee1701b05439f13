"""Which answers count (threats F05, F11, F12).

A 200 of exactly an allowed media type, without content encoding, that says where it ends, ends there, and is not too large.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from protocol.fetch.failures import failure, parse_retry_after, status_failure
from protocol.fetch.messages import FetchRequest

_READ_SIZE: Final = 16 * 1024
_MEDIA_TYPE = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+/[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH = re.compile(r"[0-9]{1,12}")

# Lower-case header names to all their values, in order.
Headers = Mapping[str, tuple[str, ...]]


def check_head(request: FetchRequest, status: int, headers: Headers, *, now: float) -> str:
    """Return the media type of an answer that may be read; raises `FetchError` before a byte of any other body is read.

    `now` is in Unix seconds, for Retry-After.
    """
    if status != 200:
        retry_after = headers.get("retry-after", ())
        raise status_failure(status, parse_retry_after(retry_after[0], now) if retry_after else None)
    if "content-encoding" in headers:
        raise failure("content_encoding", ", ".join(headers["content-encoding"]), http_status=200)
    return _check_media_type(request, headers)


def check_framing(request: FetchRequest, headers: Headers) -> int | None:
    """Return the announced length in bytes, or None for a chunked body; raises `FetchError`.

    A body that ends with the connection is refused: it cannot be told from one that was cut. So are both framings at once
    (RFC 9112, 6.3).
    """
    encodings, lengths = headers.get("transfer-encoding", ()), headers.get("content-length", ())
    if encodings:
        if lengths or len(encodings) > 1 or encodings[0].lower() != "chunked":
            raise failure("malformed", f"transfer encoding {encodings!r} with content length {lengths!r}", http_status=200)
        return None
    if not lengths:
        raise failure("incomplete", "neither content length nor chunked", http_status=200)
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise failure("malformed", f"content length {lengths!r}", http_status=200)
    length = int(lengths[0])
    if length > request.max_bytes:
        raise failure("too_large", f"content length {length}", http_status=200)
    return length


def read_body(request: FetchRequest, length: int | None, read: Callable[[int], bytes]) -> bytes:
    """Return the whole body from `read`, which gives at most so many bytes and `b""` at the end; raises `FetchError`.

    Reads one byte more than the cap at most.
    """
    body = bytearray()
    while len(body) <= request.max_bytes:
        piece = read(min(_READ_SIZE, request.max_bytes + 1 - len(body)))
        if not piece:
            break
        body += piece
    return check_body(request, length, bytes(body))


def check_body(request: FetchRequest, length: int | None, body: bytes) -> bytes:
    """Return the body if it is within the cap, as long as announced, and not empty; raises `FetchError`."""
    if len(body) > request.max_bytes:
        raise failure("too_large", f"more than {request.max_bytes} bytes", http_status=200)
    if length is not None and len(body) != length:
        raise failure("incomplete", f"{len(body)} of {length} bytes", http_status=200)
    if not body:
        raise failure("empty", http_status=200)
    return body


def _check_media_type(request: FetchRequest, headers: Headers) -> str:
    """Return the media type without its parameters, in lower case (RFC 9110, 8.3.1; FED-HTT-03)."""
    values = headers.get("content-type", ())
    media_type = values[0].partition(";")[0].strip().lower() if len(values) == 1 else ""
    if not _MEDIA_TYPE.fullmatch(media_type) or media_type not in request.accept:
        raise failure("media_type", ", ".join(values), http_status=200)
    return media_type
