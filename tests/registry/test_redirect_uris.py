"""Which redirect URIs may be registered, and which request matches a registered one (O03, O04, F08; DCR-META-10 to -17)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry.client_metadata import read_client_metadata
from registry.findings import Findings
from registry.redirect_uris import FORBIDDEN_SCHEMES, redirect_uri_matches, review_redirect_uri

KINDS = {
    "web": {"native": False, "allow_loopback_http": False},
    "test": {"native": False, "allow_loopback_http": True},
    "native": {"native": True, "allow_loopback_http": False},
}
LONG = "a" * 2030


def _corpus():
    for line in Path(__file__).with_name("redirect_uri_corpus.txt").read_text("ascii").splitlines():
        if line and not line.startswith("#"):
            verdict, code, kind, escaped = line.split("\t")
            uri = escaped.replace("{long}", LONG).encode("ascii").decode("unicode_escape")
            yield pytest.param(verdict, code, kind, uri, id=f"{kind} {escaped[:60]}")


CORPUS = list(_corpus())
ACCEPTED = sorted({row.values[3] for row in CORPUS if row.values[0] != "refuse"})
LOOPBACK = [uri for uri in ACCEPTED if uri.startswith(("http://127.0.0.1", "http://[::1]"))]


def review(uri, kind="web"):
    findings = Findings()
    review_redirect_uri(uri, "redirect_uris[0]", findings, **KINDS[kind])
    return findings.items


@pytest.mark.spec("DCR-META-11", "DCR-META-12", "DCR-META-14", "DCR-META-15", "DCR-META-16")
@pytest.mark.threat("O03", "O04", "F08")
@pytest.mark.parametrize(("verdict", "code", "kind", "uri"), CORPUS)
def test_the_corpus_gets_its_verdicts(verdict, code, kind, uri):
    found = {finding.code: finding.level for finding in review(uri, kind)}
    if verdict == "accept":
        assert found == {}
    elif verdict == "warn":
        assert "error" not in found.values()
        assert code in found
    else:
        assert found.get(code) == "error", found


def test_the_corpus_is_large_and_its_rows_are_distinct():
    assert len({(row.values[2], row.values[3]) for row in CORPUS}) == len(CORPUS) >= 150
    assert len({row.values[1] for row in CORPUS if row.values[0] == "refuse"}) >= 25


@pytest.mark.spec("DCR-META-11")
@pytest.mark.parametrize("value", [None, 1, True, [], {}, ["https://app.example.org/cb"]])
def test_what_is_not_a_string_is_refused(value):
    assert [finding.code for finding in review(value)] == ["redirect_uri.type"]


@pytest.mark.spec("DCR-META-16")
@pytest.mark.threat("O04")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", sorted(FORBIDDEN_SCHEMES))
def test_a_forbidden_scheme_is_refused_in_any_case_and_for_every_kind_of_client(scheme, kind):
    for spelling in (scheme, scheme.upper(), scheme.title()):
        assert [finding.level for finding in review(f"{spelling}:x", kind)] == ["error"]


@pytest.mark.spec("DCR-META-16")
def test_every_scheme_of_the_requirement_is_in_the_list():
    assert {"javascript", "data", "vbscript", "file", "blob", "about", "ws", "wss", "ftp", "mailto", "intent"} <= FORBIDDEN_SCHEMES


@pytest.mark.spec("DCR-META-12", "DCR-META-45")
@pytest.mark.threat("O03", "O04")
@pytest.mark.parametrize(("verdict", "code", "kind", "uri"), [row for row in CORPUS if row.values[0] == "refuse"])
def test_what_is_refused_as_a_redirect_uri_is_refused_after_logout_too(verdict, code, kind, uri):
    native, loopback = KINDS[kind]["native"], KINDS[kind]["allow_loopback_http"]
    document = {
        "application_type": "native" if native else "web",
        "grant_types": ["client_credentials"],
        "post_logout_redirect_uris": [uri],
    }
    errors = read_client_metadata(document, now=0, allow_loopback_http=loopback).errors
    assert {error.member for error in errors} == {"post_logout_redirect_uris"}


@pytest.mark.threat("O03", "O04", "F08")
@given(st.text(max_size=60) | st.from_regex(r"(https?|com\.example):/{0,3}[a-z0-9.@:\[\]\\%?#/* -]{0,30}", fullmatch=True))
def test_what_is_accepted_is_one_plain_line_of_ascii_and_no_list(uri):
    for kind in KINDS:
        if not any(finding.level == "error" for finding in review(uri, kind)):
            assert uri.isascii()
            assert uri.isprintable()
            assert not set(' \\#*"<>') & set(uri)
            assert uri.split() == [uri]


@pytest.mark.spec("DCR-META-17")
@pytest.mark.threat("O03")
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("registered", ACCEPTED)
def test_a_near_miss_of_a_registered_uri_never_matches(registered, native):
    misses = {
        registered + "/", registered + "x", registered + "?", registered + "?x=1", registered + "#", registered + "%20", registered + " ",
        registered + "\n", " " + registered, registered[:-1], registered[:-1] + "%00", registered.replace("/cb", "/CB"),
        registered.replace("/cb", "/./cb"), registered.replace("/cb", "//cb"), registered.replace("/cb", "/%63b"),
        registered.replace("://", "://x@"), registered.replace("://", "://evil.example\\@"), registered.replace("example", "EXAMPLE"),
        registered.replace("https:", "http:"), registered.replace("http:", "https:"), registered.replace(".org/", ".org.evil.example/"),
        registered.replace(".org/", ".org./"), registered.replace("127.0.0.1", "127.0.0.2"), registered.replace("127.0.0.1", "localhost"),
        registered.replace("127.0.0.1", "[::1]"), registered.replace("127.0.0.1", "0x7f.1"), registered.replace("com.", "com.evil."),
        registered.replace("/cb", "/..;/cb"), registered.replace("/cb", ":0/cb"), registered.replace("/cb", ":99999/cb"),
    }  # fmt: skip
    for miss in misses - {registered}:
        assert not redirect_uri_matches(registered, miss, native=native), miss
    assert redirect_uri_matches(registered, registered, native=native)


@pytest.mark.spec("DCR-META-17")
@pytest.mark.threat("O03")
@pytest.mark.parametrize("registered", LOOPBACK)
@pytest.mark.parametrize("port", [1, 80, 51004, 65535])
def test_only_a_native_loopback_uri_may_come_back_with_another_port(registered, port):
    host = "http://[::1]" if registered.startswith("http://[") else "http://127.0.0.1"
    rest = registered.removeprefix(host).lstrip(":0123456789")
    assert redirect_uri_matches(registered, f"{host}:{port}{rest}", native=True)
    assert redirect_uri_matches(registered, host + rest, native=True)
    if (other := f"{host}:{port}{rest}") != registered:
        assert not redirect_uri_matches(registered, other, native=False)
    for wrong in (
        f"{host}:{rest}",
        f"{host}:0{rest}",
        f"{host}:0{port}{rest}",
        f"{host}:65536{rest}",
        f"{host}:{port}{rest}x",
        f"{host}:\u0661{rest}",
    ):
        assert not redirect_uri_matches(registered, wrong, native=True), wrong


_URIS = st.sampled_from(ACCEPTED)
_EDITS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["", "/", ".", "%", ":", "1", "a", "@", "#", "?", "\u0130"])), max_size=3)


@st.composite
def _edited(draw):
    uri = draw(_URIS)
    other = uri
    for position, piece in draw(_EDITS):
        other = other[:position] + piece + other[position + draw(st.integers(0, 2)) :]
    return uri, other


def _without_port(uri):
    for host in ("http://127.0.0.1", "http://[::1]"):
        if uri.startswith(host):
            rest = uri.removeprefix(host)
            digits = rest[1:].partition("/")[0].partition("?")[0] if rest.startswith(":") else None
            return host, rest if digits is None else rest.removeprefix(f":{digits}")
    return None


@pytest.mark.spec("DCR-META-17")
@pytest.mark.threat("O03")
@example(("http://127.0.0.1/cb", "http://127.0.0.1:1/cb"), True)
@given(_edited(), st.booleans())
def test_a_requested_uri_matches_only_when_it_is_equal_but_for_a_native_loopback_port(pair, native):
    registered, requested = pair
    matches = redirect_uri_matches(registered, requested, native=native)
    if registered == requested:
        assert matches
    elif matches:
        assert native
        assert _without_port(registered) == _without_port(requested) is not None
