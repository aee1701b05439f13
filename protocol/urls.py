"""One reading of URLs, used for storage, comparison, redirect URI checks, naming constraints and fetching.

Nothing here changes a URL: what is accepted is kept code point for code point (FED-EID-06), and what two parsers could read
in two ways is refused (threats F08; RFC 3986). Whatever `parse_https_url` accepts has the same host for `urlsplit`, urllib3
and us.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from protocol.constants import CLIENT_ID_LIMIT, URL_LIMIT
from protocol.errors import InvalidUrl

HTTPS_PORT: Final = 443

HostKind = Literal["name", "ipv4", "ipv6"]

# RFC 3986, 2: the only characters of a URI. "%" is checked apart.
_URI_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 3986, appendix B, with the scheme required.
_PARTS = re.compile(r"([^:/?#]*):(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+")
# The last label of every decimal, octal or hexadecimal way to write an IPv4 address (threats, finding 4).
_NUMBER_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PERCENT_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_DOT_SEGMENT = re.compile(r"(?:^|/)(?:\.|%2[eE]){1,2}(?:/|$)")
_DELIMITERS = frozenset("[]#")
# What nearly every URL of a federation looks like: a name whose last label starts with a letter, and a path without percent sign. It says
# less than the rules below say together, so that what it matches needs none of them; a property test compares both.
_PLAIN_HTTPS_URL = re.compile(
    r"https://((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
    r"(|/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*)"
)
_HOST_LIMIT: Final = 253  # RFC 1035, 2.3.4: of a name without its last dot
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

_SENTENCES: Final = {
    "empty": "The URL is empty.",
    "too_long": "The URL is too long.",
    "whitespace": "The URL contains white space.",
    "control": "The URL contains a control character.",
    "backslash": "The URL contains a backslash.",
    "non_ascii": "The URL contains a character outside ASCII; write the host in A-label form and percent-encode the rest.",
    "character": "The URL contains a character that RFC 3986 does not allow there.",
    "percent": "The URL contains a percent sign that is not followed by two hexadecimal digits.",
    "scheme": "The URL has no scheme, or not one that is allowed here.",
    "authority": "The URL has no host: two slashes must follow the scheme.",
    "userinfo": "The URL contains user information before the host.",
    "host": "The host is not a name made of letters, digits and hyphens.",
    "host_percent": "The host contains percent-encoding.",
    "trailing_dot": "The host ends with a dot.",
    "single_label": "The host has no dot.",
    "zone": "The host contains an IPv6 zone.",
    "ip_form": "The host looks like an IPv4 address but is not four plain decimal numbers.",
    "ip_literal": "The host is an IP address; a host name is needed here.",
    "port": "The port is not a plain number from 1 to 65535.",
    "port_refused": "The URL names a port, which is not allowed here.",
    "query": "The URL has a query, which is not allowed here.",
    "fragment": "The URL has a fragment, which is not allowed here.",
    "dot_segment": "The path contains a '.' or '..' segment.",
}


class SplitUri(NamedTuple):
    """The five parts of any URI (RFC 3986, 3), as written. `None` is an absent part, `""` an empty one."""

    text: str
    scheme: str
    authority: str | None
    path: str
    query: str | None
    fragment: str | None


class Authority(NamedTuple):
    """Host and port of an authority without user information. `host` is lower case, an IPv6 address without its brackets."""

    host: str
    port: int | None
    kind: HostKind


class WebUrl(NamedTuple):
    """An accepted https URL. `text` is what was received; the other fields are for comparing hosts and for connecting."""

    text: str
    scheme: str
    host: str
    port: int
    path: str
    query: str | None
    host_kind: HostKind = "name"

    @property
    def host_and_port(self) -> str:
        """`host:port`, the host in lower case and an IPv6 address in brackets; the port is always there."""
        return f"[{self.host}]:{self.port}" if self.host_kind == "ipv6" else f"{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """The request target of HTTP in origin form (RFC 9112, 3.2.1)."""
        return (self.path or "/") + (f"?{self.query}" if self.query is not None else "")


def split_uri(text: str, *, max_length: int = URL_LIMIT) -> SplitUri:
    """Return the parts of a URI of any scheme, refusing every character and percent sign that RFC 3986 does not allow.

    Raises `InvalidUrl` with reason empty, too_long, whitespace, control, backslash, non_ascii, character, percent or scheme.
    """
    _check_characters(text, max_length)
    parts = _PARTS.fullmatch(text)
    if parts is None or not _SCHEME.fullmatch(parts[1]):
        raise _refusal("scheme")
    scheme, authority, path, query, fragment = parts.groups()
    for part in (path, query, fragment):
        if part and not _DELIMITERS.isdisjoint(part):
            raise _refusal("character")
    return SplitUri(text, scheme.lower(), authority, path, query, fragment)


def parse_authority(authority: str) -> Authority:
    """Return host and port of an authority; any scheme.

    Raises `InvalidUrl` with reason userinfo, port, zone, host, host_percent, trailing_dot or ip_form.
    """
    if "@" in authority:
        raise _refusal("userinfo")
    if authority.startswith("["):
        literal, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _refusal("host")
        return Authority(_parse_ipv6(literal), _parse_port(rest), "ipv6")
    host, colon, port = authority.partition(":")
    kind = _host_kind(host)
    return Authority(host.lower(), _parse_port(colon + port), kind)


@lru_cache(maxsize=1024)
def parse_https_url(
    text: str,
    *,
    allow_query: bool = True,
    allow_port: bool = True,
    allow_ip_literal: bool = False,
    allow_single_label: bool = False,
    max_length: int = URL_LIMIT,
) -> WebUrl:
    """Return the URL if it is an https URL that every parser reads alike: no user information, no fragment, a plain host.

    `max_length` is in characters. Raises `InvalidUrl` with the reasons of `split_uri` and `parse_authority`, and authority,
    port_refused, query, fragment, ip_literal or single_label.
    """
    plain = _PLAIN_HTTPS_URL.fullmatch(text) if len(text) <= max_length else None
    if plain is not None and len(plain[1]) <= _HOST_LIMIT:
        return WebUrl(text, "https", plain[1].lower(), HTTPS_PORT, plain[2], None)
    return _parse_unusual_https_url(text, allow_query, allow_port, allow_ip_literal, allow_single_label, max_length)


def _parse_unusual_https_url(
    text: str, allow_query: bool, allow_port: bool, allow_ip_literal: bool, allow_single_label: bool, max_length: int
) -> WebUrl:
    """Return what `parse_https_url` says of any URL, by every rule in turn. Raises `InvalidUrl`."""
    parts = split_uri(text, max_length=max_length)
    if parts.scheme != "https":
        raise _refusal("scheme")
    if parts.authority is None:
        raise _refusal("authority")
    authority = parse_authority(parts.authority)
    refused = (
        ("port_refused", authority.port is not None and not allow_port),
        ("query", parts.query is not None and not allow_query),
        ("fragment", parts.fragment is not None),
        ("ip_literal", authority.kind != "name" and not allow_ip_literal),
        ("single_label", authority.kind == "name" and "." not in authority.host and not allow_single_label),
    )
    for reason, broken in refused:
        if broken:
            raise _refusal(reason)
    port = HTTPS_PORT if authority.port is None else authority.port
    return WebUrl(text, "https", authority.host, port, parts.path, parts.query, authority.kind)


@lru_cache(maxsize=8192)
def parse_entity_identifier(text: str) -> WebUrl:
    """Return the entity identifier (OpenID Federation 1.0, 1.2; FED-EID-01, -02, -06, -09), its `text` identical to the
    input.

    Refuses what `parse_https_url` refuses, and a query, an IP address, and '.' or '..' segments, which some clients fold
    away. Raises `InvalidUrl`.
    """
    url = parse_https_url(text, allow_query=False, max_length=CLIENT_ID_LIMIT)
    if _DOT_SEGMENT.search(url.path):
        raise _refusal("dot_segment")
    return url


def fold_entity_identifier(text: str) -> str:
    """Return the form that all twins of an entity identifier share (T03); for a unique index only, never for equality.

    Folds the case of scheme and host, the default port, percent-encoding and trailing slashes. Raises `InvalidUrl`.
    """
    url = parse_entity_identifier(text)
    port = "" if url.port == HTTPS_PORT else f":{url.port}"
    path = _PERCENT_ENCODED.sub(_fold_percent_encoding, url.path).rstrip("/")
    return f"https://{url.host}{port}{path}"


def forget_urls() -> None:
    """Forget every URL that was parsed, as in a process that has just started; for measuring."""
    parse_https_url.cache_clear()
    parse_entity_identifier.cache_clear()


def _check_characters(text: str, max_length: int) -> None:
    if not text:
        raise _refusal("empty")
    if len(text) > max_length:
        raise _refusal("too_long")
    if not _URI_CHARACTERS.fullmatch(text):
        raise _refusal(_reason_for_characters(text))
    if "%" in text and _BROKEN_PERCENT.search(text):
        raise _refusal("percent")


def _reason_for_characters(text: str) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        return "control"
    if any(ord(character) > 0x7F for character in text):
        return "non_ascii"
    if " " in text:
        return "whitespace"
    return "backslash" if "\\" in text else "character"


def _host_kind(host: str) -> HostKind:
    if "%" in host:
        raise _refusal("host_percent")
    labels = host.split(".")
    if labels[-1] == "" and len(labels) > 1:
        raise _refusal("trailing_dot")
    if _NUMBER_LABEL.fullmatch(labels[-1]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise _refusal("ip_form") from None
        return "ipv4"
    if len(host) > _HOST_LIMIT or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refusal("host")
    return "name"


def _parse_ipv6(literal: str) -> str:
    if "%" in literal:
        raise _refusal("zone")
    if not _IPV6.fullmatch(literal):
        raise _refusal("host")
    try:
        ipaddress.IPv6Address(literal)
    except ValueError:
        raise _refusal("host") from None
    return literal.lower()


def _parse_port(text: str) -> int | None:
    if not text:
        return None
    if not _PORT.fullmatch(text[1:]) or int(text[1:]) > 65535:
        raise _refusal("port")
    return int(text[1:])


def _fold_percent_encoding(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _refusal(reason: str) -> InvalidUrl:
    return InvalidUrl(reason, _SENTENCES[reason])
