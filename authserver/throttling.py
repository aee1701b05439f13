"""Counting failed client authentications and started sign-ins, so that guessing and flooding stop early (threats.md R15, S11).

Each process counts for itself, in memory: good requests cost nothing, a refused one costs no query, and no cache can be missing.
"""

from __future__ import annotations

from typing import Final

from protocol.errors import TooManyRequests
from registry.windows import WINDOW_SECONDS, WindowCounter, network_of

FAILURES_PER_CLIENT: Final = 30
FAILURES_PER_SOURCE: Final = 60
SIGN_INS_PER_SOURCE: Final = 300


failures: Final = WindowCounter()
sign_ins: Final = WindowCounter()


def note_failed_authentication(client_id: str, source: str) -> None:
    """Count a failure for the client and for the address. Raises TooManyRequests when either has too many in a minute."""
    for kind, name, limit in (("client", client_id, FAILURES_PER_CLIENT), ("source", network_of(source), FAILURES_PER_SOURCE)):
        if name and failures.count(kind, name) > limit:
            raise TooManyRequests("Too many failed client authentications; wait a minute.", retry_after=WINDOW_SECONDS)


def note_sign_in(source: str) -> None:
    """Count an authorization request that is about to be kept; anybody can send one. Raises TooManyRequests for too many in a minute."""
    if source and sign_ins.count("source", network_of(source)) > SIGN_INS_PER_SOURCE:
        raise TooManyRequests("Too many sign-ins were started from your network; wait a minute.", retry_after=WINDOW_SECONDS)
