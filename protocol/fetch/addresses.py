"""Which addresses this server may connect to: an explicit table, because `is_global` changes with Python (threats, finding
3).

Source: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890, as of 2026-11), multicast (RFC 5771, RFC
4291), deprecated site-local (RFC 3879), and the metadata addresses of cloud providers. Of IPv6 only global unicast,
2000::/3, is open at all.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class DeniedNetwork:
    """A row of the table. `private` rows open for hosts that the operator named exactly; the others never do."""

    network: Network
    name: str
    private: bool = False


def _row(network: str, name: str, *, private: bool = False) -> DeniedNetwork:
    return DeniedNetwork(ipaddress.ip_network(network), name, private)


# The first row that contains the address decides, so narrower rows stand first.
DENIED_IPV4: Final = (
    _row("100.100.100.200/32", "cloud metadata (Alibaba)"),
    _row("168.63.129.16/32", "cloud metadata (Azure)"),
    _row("192.0.0.192/32", "cloud metadata (Oracle)"),
    _row("0.0.0.0/8", "this network"),
    _row("10.0.0.0/8", "private use", private=True),
    _row("100.64.0.0/10", "shared address space", private=True),
    _row("127.0.0.0/8", "loopback", private=True),
    _row("169.254.0.0/16", "link local, cloud metadata"),
    _row("172.16.0.0/12", "private use", private=True),
    _row("192.0.0.0/24", "IETF protocol assignments"),
    _row("192.0.2.0/24", "documentation"),
    _row("192.31.196.0/24", "AS112"),
    _row("192.52.193.0/24", "AMT"),
    _row("192.88.99.0/24", "6to4 relay anycast"),
    _row("192.168.0.0/16", "private use", private=True),
    _row("192.175.48.0/24", "AS112 direct delegation"),
    _row("198.18.0.0/15", "benchmarking"),
    _row("198.51.100.0/24", "documentation"),
    _row("203.0.113.0/24", "documentation"),
    _row("224.0.0.0/4", "multicast"),
    _row("240.0.0.0/4", "reserved, limited broadcast"),
)

DENIED_IPV6: Final = (
    _row("::1/128", "loopback", private=True),
    _row("::/128", "unspecified"),
    _row("::/96", "IPv4-compatible"),
    _row("::ffff:0:0/96", "IPv4-mapped"),
    _row("::ffff:0:0:0/96", "IPv4-translated"),
    _row("64:ff9b:1::/48", "local NAT64"),
    _row("100::/64", "discard only"),
    _row("100:0:0:1::/64", "dummy prefix"),
    _row("2001::/32", "Teredo"),
    _row("2001::/23", "IETF protocol assignments"),
    _row("2001:db8::/32", "documentation"),
    _row("2002::/16", "6to4"),
    _row("2620:4f:8000::/48", "AS112 direct delegation"),
    _row("3fff::/20", "documentation"),
    _row("5f00::/16", "SRv6 segment identifiers"),
    _row("fd00:ec2::254/128", "cloud metadata (Amazon)"),
    _row("fd20:ce::254/128", "cloud metadata (Google)"),
    _row("fc00::/7", "unique local", private=True),
    _row("fe80::/10", "link local"),
    _row("fec0::/10", "site local"),
    _row("ff00::/8", "multicast"),
)

_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
# RFC 6052: the one translation prefix that stays open, for hosts behind DNS64; what it embeds is judged.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# RFC 5214, 6.1: an interface identifier that embeds an IPv4 address under any prefix.
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


def why_denied(address: Address, *, allow_private: bool = False, extra: Iterable[Network] = ()) -> str | None:
    """Return the name of the rule that forbids connecting to `address`, or None when it is open.

    `allow_private` opens the rows marked private, for hosts named exactly in a setting; `extra` are networks that the
    operator denies on top, for every host. An IPv6 address that embeds an IPv4 address is never more open than that one
    (threats F07).
    """
    if any(address in network for network in extra):
        return "denied by the operator"
    table = DENIED_IPV4 if isinstance(address, ipaddress.IPv4Address) else DENIED_IPV6
    row = next((row for row in table if address in row.network), None)
    if row is not None:
        return None if row.private and allow_private else row.name
    if isinstance(address, ipaddress.IPv6Address):
        return _why_ipv6_denied(address, tuple(extra))
    return None


def _why_ipv6_denied(address: ipaddress.IPv6Address, extra: tuple[Network, ...]) -> str | None:
    if getattr(address, "scope_id", None):
        return "scoped address"
    embedded = embedded_ipv4(address)
    if embedded is not None:
        return why_denied(embedded, extra=extra)
    return None if address in _GLOBAL_UNICAST else "outside global unicast"


def embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address inside a NAT64 (RFC 6052) or ISATAP (RFC 5214) address; no row of the table covers those."""
    number = int(address)
    if address in _NAT64 or (number >> 32) & 0xFFFFFFFF in _ISATAP:
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return None
