"""The two things taken from the operating system, both injectable: name resolution and a TCP connection to one address."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from protocol.fetch.addresses import Address

# host and port to addresses as text; raises OSError. Has no deadline of its own.
Resolver = Callable[[str, int], Sequence[str]]
# address, port and seconds to a connected socket; raises OSError.
Connector = Callable[[Address, int, float], socket.socket]


def resolve_by_system(host: str, port: int) -> list[str]:
    """Return the distinct addresses of `host`, in the order the system prefers; raises OSError."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def connect_tcp(address: Address, port: int, timeout: float) -> socket.socket:
    """Return a socket connected to exactly this address within `timeout` seconds; raises OSError."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(timeout)
        connection.connect((str(address), port))
    except BaseException:
        connection.close()
        raise
    return connection


def peer_of(connection: socket.socket) -> tuple[Address, int]:
    """Return address and port of the other end, as the kernel knows them; raises OSError."""
    peer = connection.getpeername()
    return ipaddress.ip_address(str(peer[0]).partition("%")[0]), int(peer[1])
