"""How many requests an app may send, counted by each process in memory (threats.md S11)."""

from __future__ import annotations

from typing import Final

from protocol.errors import TooManyRequests
from registry.windows import WINDOW_SECONDS, WindowCounter

REQUESTS_PER_CLIENT: Final = 600

requests: Final = WindowCounter()


def note_request(client_id: str) -> None:
    """Count a request. Raises TooManyRequests when the app sent too many in a minute."""
    if requests.count("client", client_id) > REQUESTS_PER_CLIENT:
        raise TooManyRequests(f"An app may send {REQUESTS_PER_CLIENT} requests a minute.", retry_after=WINDOW_SECONDS)
