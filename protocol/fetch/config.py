"""Limits and surroundings of the fetcher. There is no switch for certificate verification, only a CA bundle (threats F16)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from protocol.errors import InvalidUrl
from protocol.fetch.addresses import Network
from protocol.fetch.sockets import Connector, Resolver, connect_tcp, resolve_by_system
from protocol.urls import HTTPS_PORT, parse_authority

# An endpoint of 2,048 characters and, in its query, an identifier of 2,048 characters that is all percent-encoded.
FETCH_URL_LIMIT: Final = 10 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchConfig:
    """Settings of one `HttpFetcher`; durations in seconds, sizes in bytes.

    `allowed_private` holds exact `host:port` strings (an IPv6 address in brackets) that may have private addresses, other
    ports and no dot in their name; link-local, metadata and multicast addresses stay closed even for them. `ca_bundle` is a
    PEM file that replaces the bundle that comes with requests. `clock` gives Unix seconds; `monotonic` and `sleep` drive
    caches and rates, never the deadline, which is always real time.
    """

    deadline_seconds: float = 5.0
    max_header_bytes: int = 32 * 1024
    ports: frozenset[int] = frozenset({HTTPS_PORT})
    allowed_private: frozenset[str] = frozenset()
    denied_networks: tuple[Network, ...] = ()
    ca_bundle: Path | None = None
    user_agent: str = "Credence"

    max_concurrent: int = 16
    max_concurrent_per_host: int = 2
    resolver_threads: int = 8
    addresses_tried: int = 3

    host_burst: int = 60
    host_fetches_per_second: float = 10.0
    longest_rate_wait_seconds: float = 1.0
    max_remembered_hosts: int = 4096

    negative_seconds: float = 60.0
    longest_negative_seconds: float = 3600.0
    max_negative_entries: int = 4096

    resolver: Resolver = resolve_by_system
    connector: Connector = connect_tcp
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    allowed_private_folded: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        folded = frozenset(_fold_host_and_port(entry) for entry in self.allowed_private)
        object.__setattr__(self, "allowed_private_folded", folded)
        positive = {
            "deadline_seconds": self.deadline_seconds,
            "max_header_bytes": self.max_header_bytes,
            "max_concurrent": self.max_concurrent,
            "max_concurrent_per_host": self.max_concurrent_per_host,
            "resolver_threads": self.resolver_threads,
            "addresses_tried": self.addresses_tried,
            "host_burst": self.host_burst,
            "host_fetches_per_second": self.host_fetches_per_second,
            "max_remembered_hosts": self.max_remembered_hosts,
            "negative_seconds": self.negative_seconds,
            "max_negative_entries": self.max_negative_entries,
        }
        wrong = [name for name, value in positive.items() if value <= 0]
        if wrong:
            raise ValueError(f"These fetch settings must be above zero: {', '.join(wrong)}.")


def _fold_host_and_port(entry: str) -> str:
    """Return `host:port` in the form of `WebUrl.host_and_port`; a setting that is not exactly that is a loud error."""
    try:
        authority = parse_authority(entry)
    except InvalidUrl as error:
        raise ValueError(f"{entry!r} is not host:port. {error.description}") from error
    if authority.port is None:
        raise ValueError(f"{entry!r} is not host:port: the port is missing.")
    host = f"[{authority.host}]" if authority.kind == "ipv6" else authority.host
    return f"{host}:{authority.port}"
