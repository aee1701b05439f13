"""Redirect URIs: which may be registered, and which request matches a registered one. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from protocol.errors import InvalidUrl
from protocol.urls import Authority, SplitUri, parse_authority, split_uri
from registry.findings import Findings
from registry.scripts import is_deceptive_host

# DCR-META-16: schemes that run code, read files or reach other protocols.
FORBIDDEN_SCHEMES: Final = frozenset(
    ("about", "blob", "data", "file", "ftp", "intent", "javascript", "mailto", "vbscript", "view-source", "ws", "wss")
)
# What this server adds to a redirect URI (RFC 6749, 4.1.2; RFC 9207, 2); twice, nobody knows which one counts.
ANSWER_PARAMETERS: Final = frozenset(("code", "error", "error_description", "error_uri", "iss", "state"))
LOOPBACK_ADDRESSES: Final = ("127.0.0.1", "::1")
_LOOPBACK_URI: Final = re.compile(r"(?P<host>http://(?:127\.0\.0\.1|\[::1\]))(?::(?P<port>[1-9][0-9]{0,4}))?(?P<rest>(?:[/?][^#]*)?)")
# Scheme and host of an address as people type it; not where user information makes it unclear which part is the host.
_TYPED_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://[^/?#@\\]*(?=[/?#]|$))?")
_TYPED_HOST: Final = re.compile(r"https?://(?P<host>[^/?#@\\:\[\]\s]{1,253})(?=[/?#:]|$)", re.IGNORECASE)
_WILDCARD_HOST: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*\*")
_EXACT = "Redirect URIs are compared exactly, character by character."


def review_redirect_uri(text: object, path: str, findings: Findings, *, native: bool, allow_loopback_http: bool) -> None:
    """Add findings about one redirect URI of a client (DCR-META-11 to -16; RFC 8252, 7; threats.md F08, O03, O04).

    `native` is application_type; `allow_loopback_http` lets a web client of the test stage use a loopback address.
    """
    if not isinstance(text, str):
        findings.error("redirect_uri.type", path, "A redirect URI must be a string.")
        return
    try:
        uri = split_uri(text)
        authority = parse_authority(uri.authority) if uri.authority else None
    except InvalidUrl as error:
        if error.reason == "host" and _WILDCARD_HOST.match(text):
            _refuse_wildcard(path, findings)
            return
        hint = _a_label_hint(text) if error.reason == "non_ascii" else ""
        findings.error(f"redirect_uri.{error.reason}", path, error.description.replace("The URL", "The redirect URI"), hint or _EXACT)
        return
    _review_parts(uri, path, findings)
    if uri.scheme in FORBIDDEN_SCHEMES:
        findings.error("redirect_uri.forbidden_scheme", path, f"A redirect URI must not use the scheme {uri.scheme}.")
    elif uri.scheme == "https":
        _review_https(uri, authority, path, findings, native=native, allow_loopback=allow_loopback_http)
    elif uri.scheme == "http":
        _review_http(authority, path, findings, allowed=native or allow_loopback_http)
    else:
        _review_private_use(uri, path, findings, native=native)


def review_redirect_uris(uris: Sequence[object], member: str, findings: Findings, *, native: bool, allow_loopback_http: bool) -> None:
    """Add findings about the redirect URIs of one client, each about its place in `member`, and about those that are nearly the same."""
    for position, uri in enumerate(uris):
        path = f"{member}[{position}]"
        review_redirect_uri(uri, path, findings, native=native, allow_loopback_http=allow_loopback_http)
        twin = uri[:-1] if isinstance(uri, str) and uri.endswith("/") else None
        if twin and twin in uris:
            findings.warning("redirect_uri.slash_twin", path, "The same redirect URI is registered with and without a slash at the end.")


def redirect_place(text: object) -> str:
    """Return where a redirect URI leads, as a policy names it: its host in lower case, or its private-use scheme with the colon."""
    try:
        uri = split_uri(text) if isinstance(text, str) else None
        if uri is None or uri.scheme not in ("https", "http"):
            return f"{uri.scheme}:" if uri else "no address"
        return parse_authority(uri.authority or "").host.lower()
    except InvalidUrl:
        return "no address"


def _review_parts(uri: SplitUri, path: str, findings: Findings) -> None:
    if uri.fragment is not None:
        findings.error("redirect_uri.fragment", path, "A redirect URI must not have a fragment.", "Remove the # and what follows it.")
    if "*" in uri.text:
        _refuse_wildcard(path, findings)
    if any(segment.lower().replace("%2e", ".") in (".", "..") for segment in uri.path.replace("\\", "/").split("/")):
        findings.error("redirect_uri.dot_segment", path, "A redirect URI must not contain . or .. segments.", "Write the path it leads to.")
    if uri.query is not None:
        for name in sorted(ANSWER_PARAMETERS & {name for name, _ in parse_qsl(uri.query, keep_blank_values=True)}):
            words = f"A redirect URI must not carry the parameter {name}; the server adds its own."
            findings.error(f"redirect_uri.{name}", path, words, f"Remove {name} from the query.")
        findings.warning("redirect_uri.query", path, "This redirect URI has a query; it must be sent exactly so every time.")


def _refuse_wildcard(path: str, findings: Findings) -> None:
    findings.error("redirect_uri.wildcard", path, "A redirect URI must not contain a wildcard.", _EXACT)


def _review_https(uri: SplitUri, authority: Authority | None, path: str, findings: Findings, *, native: bool, allow_loopback: bool) -> None:
    if authority is None:
        findings.error("redirect_uri.authority", path, "The redirect URI has no host.")
        return
    if native and _is_loopback(authority):
        findings.error(
            "redirect_uri.https_loopback", path, "A native app cannot use https on a loopback address.", "Use http with 127.0.0.1."
        )
    elif _is_loopback(authority) and not allow_loopback:
        findings.error(
            "redirect_uri.loopback", path, "This redirect URI leads to the visitor's own computer.", "Use a host that everybody can reach."
        )
    elif authority.kind != "name":
        findings.warning("redirect_uri.ip_host", path, "The host of this redirect URI is an IP address; a name is safer.")
    elif "." not in authority.host and authority.host != "localhost":
        findings.warning(
            "redirect_uri.single_label", path, "The host of this redirect URI has no dot; browsers outside your network cannot reach it."
        )
    if authority.kind == "name" and any(label.startswith("xn--") for label in authority.host.split(".")):
        _review_international_host(authority.host, path, findings)
    if uri.path == "" and uri.query is None:
        findings.note("redirect_uri.no_path", path, "This redirect URI has no path; https://host and https://host/ are different.")


def _review_international_host(host: str, path: str, findings: Findings) -> None:
    """Add a warning that shows the host as it is registered; one that a reader takes for another host is called so (threats.md R07)."""
    try:
        shown = host.encode("ascii").decode("idna")
    except UnicodeError:
        shown = ""
    if shown and is_deceptive_host(shown):
        words = f"The host {host} mixes letters of different scripts or imitates others; a reviewer will look at it."
        findings.warning("redirect_uri.look_alike", path, words, "Make sure that it is the host that you mean.")
    else:
        findings.warning("redirect_uri.internationalized", path, f"The host {host} is an internationalized name; check its spelling.")


def _a_label_hint(text: str) -> str:
    """Return how the host of an address in Unicode letters is written in ASCII, empty when it cannot be said."""
    host = _TYPED_HOST.match(text)
    try:
        label = host["host"].encode("idna").decode("ascii") if host else ""
    except UnicodeError:
        return ""
    if not host or label == host["host"]:
        return ""
    words = "Its letters are of different scripts or imitate others." if is_deceptive_host(host["host"]) else ""
    return f"The host is written {label}. {words}".strip()


def lower_scheme_and_host(text: str) -> str:
    """Return a typed redirect URI with its scheme and host in lower case, as browsers and apps send it; the rest stays as it is."""
    match = _TYPED_ORIGIN.match(text)
    return match[0].lower() + text[match.end() :] if match else text


def _review_http(authority: Authority | None, path: str, findings: Findings, *, allowed: bool) -> None:
    if authority is not None and allowed and authority.host in LOOPBACK_ADDRESSES:
        return
    if authority is not None and allowed and authority.host == "localhost":
        findings.error(
            "redirect_uri.localhost", path, "The name localhost can lead elsewhere.", "Use the address 127.0.0.1 or [::1] instead."
        )
    else:
        hint = "Use https, or http with 127.0.0.1 or [::1] for a native app or in test." if allowed else "Use https."
        findings.error("redirect_uri.http", path, "A redirect URI must not use http.", hint)


def _review_private_use(uri: SplitUri, path: str, findings: Findings, *, native: bool) -> None:
    if not native:
        findings.error(
            "redirect_uri.scheme", path, f"A web app must use https, not the scheme {uri.scheme}.",
            "For a mobile or desktop app set application_type to native.",
        )  # fmt: skip
    elif "." not in uri.scheme:
        findings.error(
            "redirect_uri.private_use", path, f"The private-use scheme {uri.scheme} must contain a dot.",
            "Use a domain name that you own in reverse order, such as com.example.app.",
        )  # fmt: skip


def _is_loopback(authority: Authority) -> bool:
    """Say whether the host is the visitor's own computer, in whatever form it is written (RFC 6761, 6.3)."""
    if authority.kind == "name":
        return authority.host == "localhost" or authority.host.endswith(".localhost")
    address = ipaddress.ip_address(authority.host)
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def redirect_uri_matches(registered: str, requested: str, *, native: bool) -> bool:
    """Say whether `requested` is `registered`: the same string, but for the port of an http loopback URI of a native client.

    RFC 9700, 2.1; RFC 8252, 7.3; DCR-META-17; threats.md O03.
    """
    if requested == registered:
        return True
    anywhere = _without_loopback_port(registered) if native else None
    return anywhere is not None and anywhere == _without_loopback_port(requested)


def _without_loopback_port(text: str) -> str | None:
    """Return an http loopback URI with its port left out, or None for any other URI."""
    match = _LOOPBACK_URI.fullmatch(text)
    if match is None or int(match["port"] or 80) > 65535:
        return None
    return match["host"] + match["rest"]
