"""Every way a fetch fails, as one table, and the one place that turns exceptions of the network into `FetchError`.

Classes follow threats.md 3.2. Permanent are answers and rules that trying again does not change: a 4xx other than 408, 425
and 429, a redirect (class "misconfigured", F05), a URL that is refused. All else is transient, also an address that is refused: a
name that leads inside fails like one that leads nowhere, whatever is made of the failure. Descriptions are public: one sentence
for everything below HTTP, so that nobody scans our network with them (F09, DCR-ERR-04); what the network said is in `detail`.
"""

from __future__ import annotations

import email.utils
import http.client
import math
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Final

import requests
import urllib3

from protocol.errors import FetchError

RETRY_AFTER_LIMIT: Final = 3600
_DETAIL_LIMIT: Final = 300
_TRANSIENT_CLIENT_ERRORS: Final = frozenset({408, 425, 429})

NETWORK_EXCEPTIONS: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A row: the public sentence, whether trying again is useless, and whether to remember it for the URL."""

    sentence: str
    permanent: bool = False
    remembered: bool = True


_NOT_FETCHED = Failure("The URL could not be fetched.")
_TOO_MUCH = Failure("This server is fetching too much at the moment; try again later.", remembered=False)

FAILURES: Final[dict[str, Failure]] = {
    "url_refused": Failure("The URL is not one that this server fetches.", permanent=True, remembered=False),
    "address_refused": _NOT_FETCHED,
    "dns": _NOT_FETCHED,
    "refused": _NOT_FETCHED,
    "reset": _NOT_FETCHED,
    "tls": _NOT_FETCHED,
    "deadline": _NOT_FETCHED,
    "network": _NOT_FETCHED,
    "busy": _TOO_MUCH,
    "rate_limited": _TOO_MUCH,
    "redirect": Failure("The URL answers with a redirect, and redirects are not followed.", permanent=True),
    "client_error": Failure("The URL answers with a 4xx status.", permanent=True),
    "temporary_client_error": Failure("The URL answers with a status that asks to try again later."),
    "server_error": Failure("The URL answers with a 5xx status."),
    "unexpected_status": Failure("The URL answers with a status other than 200."),
    "media_type": Failure("The URL answers with another media type than expected."),
    "content_encoding": Failure("The URL answers with a content encoding that was not asked for."),
    "too_large": Failure("The answer is larger than this server reads."),
    "headers_too_large": Failure("The header of the answer is larger than this server reads."),
    "incomplete": Failure("The answer ended before it was complete, or does not say where it ends."),
    "empty": Failure("The answer is empty."),
    "malformed": Failure("The answer is not well-formed HTTP."),
}


def failure(reason: str, detail: str = "", *, http_status: int | None = None, retry_after: int | None = None) -> FetchError:
    """Return the error of this reason word, with its public sentence and its class."""
    row = FAILURES[reason]
    return FetchError(
        reason,
        row.sentence,
        permanent=row.permanent,
        http_status=http_status,
        retry_after=retry_after,
        detail=detail[:_DETAIL_LIMIT],
    )


def status_failure(status: int, retry_after: int | None) -> FetchError:
    """Return the error for a status other than 200 (threats.md 3.2)."""
    if 300 <= status < 400:
        reason = "redirect"
    elif status in _TRANSIENT_CLIENT_ERRORS:
        reason = "temporary_client_error"
    elif 400 <= status < 500:
        reason = "client_error"
    elif 500 <= status < 600:
        reason = "server_error"
    else:
        reason = "unexpected_status"
    return failure(reason, f"status {status}", http_status=status, retry_after=retry_after)


def parse_retry_after(value: str, now: float) -> int | None:
    """Return Retry-After in seconds from `now` (Unix seconds), at most one hour (RFC 9110, 10.2.3); None if not understood."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:10]), RETRY_AFTER_LIMIT)
    try:
        moment = email.utils.parsedate_to_datetime(value)
        seconds = math.ceil(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(0, min(seconds, RETRY_AFTER_LIMIT))


def failure_from(error: BaseException, *, http_status: int | None = None) -> FetchError:
    """Return the error for an exception of the socket, TLS or HTTP layers, found by walking its causes."""
    chain = tuple(_causes(error))
    reason = next((word for exceptions, word in _EXCEPTION_REASONS for cause in chain if isinstance(cause, exceptions)), "network")
    return failure(reason, "; ".join(f"{type(cause).__name__}: {cause}" for cause in chain), http_status=http_status)


def copy_of(error: FetchError, *, retry_after: int | None = None) -> FetchError:
    """Return the same error as a new object, since one exception object must not be raised in two threads."""
    return FetchError(
        error.reason,
        error.description,
        permanent=error.permanent,
        http_status=error.http_status,
        retry_after=error.retry_after if retry_after is None else retry_after,
        detail=error.detail,
    )


# Order matters: a TLS error is an OSError, an incomplete read is an HTTPException.
_EXCEPTION_REASONS: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...]] = (
    ((ssl.SSLError, urllib3.exceptions.SSLError), "tls"),
    (socket.gaierror, "dns"),
    (UnicodeError, "dns"),
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "deadline"),
    ((http.client.IncompleteRead, urllib3.exceptions.IncompleteRead), "incomplete"),
    ((ConnectionError, http.client.RemoteDisconnected), "reset"),
    ((http.client.HTTPException, urllib3.exceptions.InvalidHeader), "malformed"),
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and what it wraps: causes, contexts, and exceptions among its arguments."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting and len(seen) < 20:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        waiting.extend(link for link in linked if isinstance(link, BaseException))
