"""The fetcher without a network keeps the rules of the real one."""

from __future__ import annotations

import pytest

from protocol.errors import FetchError
from protocol.fetch import FetchConfig, Fetcher, FetchPurpose, HttpFetcher, InMemoryFetcher, Page, standard_request
from protocol.fetch.failures import failure

URL = "https://anchor.example.test/.well-known/openid-federation"
PAGE = Page(b"a.b.c", "application/entity-statement+jwt")


@pytest.fixture
def request_for():
    return lambda url=URL, purpose=FetchPurpose.ENTITY_CONFIGURATION: standard_request(purpose, url)


def _reason(fetcher, request):
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(request)
    return caught.value.reason


def test_a_page_is_answered_and_counted(request_for):
    fetcher = InMemoryFetcher({URL: PAGE}, clock=lambda: 77.5)
    response = fetcher.fetch(request_for())
    assert (response.url, response.status, response.body, response.fetched_at) == (URL, 200, b"a.b.c", 77)
    assert response.media_type == response.headers["content-type"] == "application/entity-statement+jwt"
    fetcher.fetch(request_for())
    assert fetcher.fetches == {URL: 2}
    assert fetcher.total == len(fetcher.requests) == 2
    fetcher.reset_counts()
    assert (fetcher.fetches, fetcher.total) == ({}, 0)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (None, "client_error"),
        (failure("dns"), "dns"),
        (Page(b"", "application/entity-statement+jwt"), "empty"),
        (Page(b"x" * 65537, "application/entity-statement+jwt"), "too_large"),
        (Page(b"x", "text/html"), "media_type"),
        (Page(b"x", "application/entity-statement+jwt", status=302), "redirect"),
        (Page(b"x", "application/entity-statement+jwt", status=503), "server_error"),
        (Page(b"x", "application/entity-statement+jwt", headers={"content-encoding": "gzip"}), "content_encoding"),
    ],
)
def test_the_rules_of_the_real_fetcher_hold(request_for, page, reason):
    assert _reason(InMemoryFetcher({URL: page}), request_for()) == reason


def test_a_refused_url_is_refused_and_not_counted(request_for):
    fetcher = InMemoryFetcher({"http://a.example.test/": PAGE})
    assert _reason(fetcher, request_for("http://a.example.test/")) == "url_refused"
    assert fetcher.total == 0
    local = InMemoryFetcher({"https://localhost:8443/": PAGE}, config=FetchConfig(allowed_private=frozenset({"localhost:8443"})))
    assert local.fetch(request_for("https://localhost:8443/")).status == 200


def test_pages_can_be_put_and_removed_and_made_by_a_function(request_for):
    fetcher = InMemoryFetcher(otherwise=lambda request: Page(request.url.encode(), "application/entity-statement+jwt"))
    assert fetcher.fetch(request_for()).body == URL.encode()
    fetcher.put(URL, PAGE)
    assert fetcher.fetch(request_for()).body == b"a.b.c"
    fetcher.put(URL, failure("reset"))
    assert _reason(fetcher, request_for()) == "reset"
    fetcher.remove(URL)
    fetcher.remove(URL)
    assert fetcher.fetch(request_for()).body == URL.encode()


def test_many_give_results_and_errors_in_order(request_for):
    fetcher = InMemoryFetcher({URL: PAGE})
    results = fetcher.fetch_many([request_for("https://b.example.test/"), request_for()])
    assert [type(result).__name__ for result in results] == ["FetchError", "FetchResponse"]


def test_both_fetchers_have_the_same_interface():
    fetchers: list[Fetcher] = [InMemoryFetcher(), HttpFetcher()]
    assert all(callable(fetcher.fetch) and callable(fetcher.fetch_many) for fetcher in fetchers)


@pytest.mark.spec("FED-HTT-05", "FED-JWK-03")
@pytest.mark.parametrize(
    ("purpose", "media_types"),
    [
        (FetchPurpose.ENTITY_CONFIGURATION, ("application/entity-statement+jwt",)),
        (FetchPurpose.SUBORDINATE_STATEMENT, ("application/entity-statement+jwt",)),
        (FetchPurpose.JWKS, ("application/jwk-set+json", "application/json")),
        (FetchPurpose.SIGNED_JWKS, ("application/jwk-set+jwt",)),
        (FetchPurpose.SECTOR_IDENTIFIER, ("application/json",)),
        (FetchPurpose.TRUST_MARK_STATUS, ("application/trust-mark-status-response+jwt",)),
    ],
)
def test_each_purpose_has_its_media_types_and_a_size_cap(purpose, media_types):
    request = standard_request(purpose, URL)
    assert (request.accept, request.max_bytes, request.method, request.form) == (media_types, 64 * 1024, "GET", b"")
    assert standard_request(purpose, URL, form=b"").method == "POST"


@pytest.mark.threat("F02", "F03")
def test_nothing_else_is_ever_fetched():
    assert {purpose.value for purpose in FetchPurpose} == {
        "entity_configuration",
        "subordinate_statement",
        "jwks",
        "signed_jwks",
        "entity_claim",
        "sector_identifier",
        "homepage",
        "trust_mark_status",
    }
