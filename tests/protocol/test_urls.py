"""One reading of URLs: what is accepted, and that no other parser reads it differently (F08, T03)."""

from __future__ import annotations

import contextlib
import string
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.util import parse_url

from protocol.errors import InvalidUrl
from protocol.urls import (
    Authority,
    fold_entity_identifier,
    parse_authority,
    parse_entity_identifier,
    parse_https_url,
    split_uri,
)


def _corpus():
    for line in Path(__file__).with_name("url_corpus.txt").read_text("ascii").splitlines():
        if line and not line.startswith("#"):
            verdict, reason, escaped = line.split("\t")
            yield pytest.param(verdict, reason, escaped.encode("ascii").decode("unicode_escape"), id=escaped[:60])


CORPUS = list(_corpus())
ACCEPTED = [row.values[2] for row in CORPUS if row.values[0] == "accept"]


def _reason(function, *arguments, **options):
    with pytest.raises(InvalidUrl) as caught:
        function(*arguments, **options)
    assert caught.value.description.endswith(".")
    return caught.value.reason


@pytest.mark.threat("F08")
@pytest.mark.parametrize(("verdict", "reason", "url"), CORPUS)
def test_the_corpus_gets_its_verdicts(verdict, reason, url):
    if verdict == "accept":
        assert parse_https_url(url).text == url
    else:
        assert _reason(parse_https_url, url) == reason


@pytest.mark.threat("F08")
def test_the_corpus_is_large_and_has_every_reason():
    assert len({row.values[2] for row in CORPUS}) >= 200
    reasons = {row.values[1] for row in CORPUS if row.values[0] == "refuse"}
    assert len(reasons) == 20
    assert len(ACCEPTED) >= 50


def _assert_parsers_agree(text, **options):
    url = parse_https_url(text, **options)
    theirs, ours = urlsplit(text), parse_url(text)
    assert theirs.hostname == ours.host.strip("[]") == url.host
    assert (theirs.scheme, ours.scheme) == ("https", "https") == (url.scheme, url.scheme)
    assert (theirs.port or 443) == (ours.port or 443) == url.port
    assert theirs.username is theirs.password is ours.auth is None
    assert theirs.path == url.path
    assert theirs.query == (url.query or "")
    assert theirs.fragment == ""
    assert parse_https_url(url.text, **options) == url


@pytest.mark.threat("F08")
@pytest.mark.parametrize("url", ACCEPTED)
def test_what_the_corpus_accepts_is_read_alike_by_every_parser(url):
    _assert_parsers_agree(url)


# Pieces that parsers are known to disagree about, put together at random.
PIECES = st.sampled_from(
    [
        *"/\\@:?#[].%;&=+-_~ \t\n\r\0",
        *(
            "//",
            "https",
            "HTTPS",
            "http",
            "://",
            "a.test",
            "A.Test",
            "localhost",
            "127.0.0.1",
            "0x7f.1",
            "[::1]",
            "1",
            "0",
            "443",
        ),
        *(
            ":443",
            "65536",
            "xn--a",
            "%41",
            "%2e",
            "%",
            "..",
            "ä",
            "。",
            "①",
            "/path",
            "?q=1",
            "#f",
            "user",
            "::",
            "0177",
            "v1.x",
        ),
    ]
)
URL_TEXTS = st.one_of(
    st.lists(PIECES, max_size=10).map("".join),
    st.lists(PIECES, max_size=8).map(lambda pieces: "https://" + "".join(pieces)),
    st.builds("https://a.test{}{}".format, st.text(max_size=5), st.text(string.printable, max_size=20)),
    st.builds("https://{}.test/{}".format, st.text(string.ascii_letters + string.digits + "-.", max_size=12), st.text(max_size=3)),
)
ANY_HOST = {"allow_ip_literal": True, "allow_single_label": True}


@pytest.mark.threat("F08")
@given(URL_TEXTS)
@example("https://good.test\\@evil.test/")
@example("https://[::ffff:1.2.3.4]:1/?")
def test_whatever_is_accepted_is_read_alike_by_every_parser(text):
    try:
        parse_https_url(text, **ANY_HOST)
    except InvalidUrl:
        return
    _assert_parsers_agree(text, **ANY_HOST)


@pytest.mark.threat("F08")
@given(
    st.sampled_from(["https", "HTTPS", "Https"]),
    st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?\.){1,4}[A-Za-z]{2,6}", fullmatch=True),
    st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format)),
    st.from_regex(
        r"(/([A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2}){0,9}){0,4}(\?([A-Za-z0-9/?:@=&]|%[0-9A-Fa-f]{2}){0,9})?",
        fullmatch=True,
    ),
)
def test_every_plain_url_is_accepted_and_read_alike_by_every_parser(scheme, host, port, rest):
    _assert_parsers_agree(f"{scheme}://{host}{port}{rest}")


@pytest.mark.threat("F08")
@given(st.one_of(URL_TEXTS, st.text()))
def test_a_text_is_accepted_or_refused_and_never_anything_else(text):
    for function in (parse_https_url, parse_entity_identifier, fold_entity_identifier, split_uri, parse_authority):
        with contextlib.suppress(InvalidUrl):
            function(text)


def test_the_parts_of_a_url_are_given():
    url = parse_https_url("HTTPS://A.Example.TEST:8443/p/q?x=1")
    assert (url.scheme, url.host, url.port, url.path, url.query) == ("https", "a.example.test", 8443, "/p/q", "x=1")
    assert (url.host_and_port, url.target) == ("a.example.test:8443", "/p/q?x=1")
    assert parse_https_url("https://a.test").target == "/"
    assert parse_https_url("https://a.test?").target == "/?"
    assert parse_https_url("https://a.test").host_and_port == "a.test:443"
    assert parse_https_url("https://[2A00::1]/", allow_ip_literal=True).host_and_port == "[2a00::1]:443"


@pytest.mark.parametrize(
    ("url", "option", "reason"),
    [
        ("https://a.test/?q", "allow_query", "query"),
        ("https://a.test/?", "allow_query", "query"),
        ("https://a.test:443/", "allow_port", "port_refused"),
        ("https://127.0.0.1/", "allow_ip_literal", "ip_literal"),
        ("https://[::1]/", "allow_ip_literal", "ip_literal"),
        ("https://localhost/", "allow_single_label", "single_label"),
    ],
)
def test_each_option_decides_about_its_own_part(url, option, reason):
    allowed = {"allow_query": True, "allow_port": True, "allow_ip_literal": True, "allow_single_label": True}
    assert parse_https_url(url, **allowed).text == url
    assert _reason(parse_https_url, url, **(allowed | {option: False})) == reason


def test_the_length_limit_is_exact():
    url = "https://a.test/" + "x" * (2048 - len("https://a.test/"))
    assert parse_https_url(url).text == url
    assert _reason(parse_https_url, url + "x") == "too_long"
    assert parse_https_url(url + "x", max_length=2049)
    assert parse_entity_identifier(url).text == url
    assert _reason(parse_entity_identifier, url + "x") == "too_long"


@pytest.mark.spec("FED-EID-01", "FED-EID-02", "FED-EID-03", "FED-EID-09")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://a.test", "scheme"),
        ("urn:example:entity", "scheme"),
        ("https://a.test?", "query"),
        ("https://a.test/?q=1", "query"),
        ("https://a.test#", "fragment"),
        ("https://u@a.test", "userinfo"),
        ("https://", "host"),
        ("https://a", "single_label"),
        ("https://1.1.1.1", "ip_literal"),
        ("https://[2a00::1]", "ip_literal"),
        ("https://a.test\n", "control"),
        ("https://a.test/./b", "dot_segment"),
        ("https://a.test/..", "dot_segment"),
        ("https://a.test/b/%2E%2e/c", "dot_segment"),
        ("https://a.test/.%2e", "dot_segment"),
        ("https://a.test/%2e", "dot_segment"),
    ],
)
def test_what_cannot_be_an_entity_identifier_is_refused(text, reason):
    assert _reason(parse_entity_identifier, text) == reason


@pytest.mark.spec("FED-EID-01", "FED-EID-06")
@pytest.mark.parametrize(
    "text",
    [
        "https://a.test",
        "https://a.test/",
        "https://A.Test",
        "HTTPS://a.test",
        "https://a.test:443",
        "https://a.test:8443/p/%7ex/",
        "https://a.test/.well/..x/...",
        "https://a.test//",
    ],
)
def test_an_entity_identifier_is_kept_exactly_as_received(text):
    assert parse_entity_identifier(text).text == text


@pytest.mark.threat("T03", "T02")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.test", "https://a.test/"),
        ("https://a.test", "https://a.test//"),
        ("https://a.test", "HTTPS://a.test"),
        ("https://a.test/p", "https://A.TEST/p"),
        ("https://a.test/p", "https://a.test:443/p"),
        ("https://a.test/p/", "https://a.test/p"),
        ("https://a.test/~p", "https://a.test/%7ep"),
        ("https://a.test/~p", "https://a.test/%7Ep"),
        ("https://a.test/p", "https://a.test/%70"),
        ("https://a.test/%c3%bc", "https://a.test/%C3%BC"),
        ("https://a.test/a-b_c.d", "https://a.test/a%2Db%5Fc%2ed"),
    ],
)
def test_twins_fold_to_the_same_form(one, other):
    assert one != other
    assert fold_entity_identifier(one) == fold_entity_identifier(other)


@pytest.mark.threat("T03")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.test", "https://b.test"),
        ("https://a.test", "https://a.test:8443"),
        ("https://a.test/p", "https://a.test/P"),
        ("https://a.test/p", "https://a.test/p/q"),
        ("https://a.test/a/b", "https://a.test/a%2fb"),
        ("https://a.test/a//b", "https://a.test/a/b"),
        ("https://a.test/a+b", "https://a.test/a%2bb"),
    ],
)
def test_different_entities_keep_different_forms(one, other):
    assert fold_entity_identifier(one) != fold_entity_identifier(other)


@pytest.mark.threat("T03")
@given(st.from_regex(r"([A-Za-z0-9\-_~/:@!$&'()*+,;=]|%[0-9A-Fa-f]{2}){0,30}", fullmatch=True))
@example("%257E")
def test_folding_a_folded_identifier_changes_nothing(path):
    try:
        folded = fold_entity_identifier(f"https://A.Test:443/{path}")
    except InvalidUrl:
        return
    assert fold_entity_identifier(folded) == folded


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("com.example.app:/callback?x=1#f", ("com.example.app", None, "/callback", "x=1", "f")),
        ("Com.Example.App:callback", ("com.example.app", None, "callback", None, None)),
        ("http://127.0.0.1:1234/cb", ("http", "127.0.0.1:1234", "/cb", None, None)),
        ("http://[::1]/cb?", ("http", "[::1]", "/cb", "", None)),
        ("https://a.test#", ("https", "a.test", "", None, "")),
        ("app://", ("app", "", "", None, None)),
        ("urn:ietf:params:oauth:x", ("urn", None, "ietf:params:oauth:x", None, None)),
    ],
)
def test_a_uri_of_any_scheme_is_split_into_its_parts(text, parts):
    uri = split_uri(text)
    assert (uri.scheme, uri.authority, uri.path, uri.query, uri.fragment) == parts
    assert uri.text == text


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("A.test", Authority("a.test", None, "name")),
        ("a.test:8080", Authority("a.test", 8080, "name")),
        ("localhost:1", Authority("localhost", 1, "name")),
        ("127.0.0.1:65535", Authority("127.0.0.1", 65535, "ipv4")),
        ("[::1]", Authority("::1", None, "ipv6")),
        ("[FE80::1]:80", Authority("fe80::1", 80, "ipv6")),
    ],
)
def test_an_authority_gives_host_and_port(authority, expected):
    assert parse_authority(authority) == expected
