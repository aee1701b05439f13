"""Fixtures: certificates once for the run, servers and fetchers that end with their test."""

from __future__ import annotations

import contextlib

import pytest

from protocol.errors import FetchError
from protocol.fetch import FetchConfig, FetchPurpose, FetchRequest, HttpFetcher
from tests.protocol.fetch.servers import answer, make_certificates, saying, serving


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def serve(certificates):
    """Start a server with a script or with bytes to say; the test CA's certificate unless another is named."""
    with contextlib.ExitStack() as stack:

        def start(script=None, certificate=..., address="127.0.0.1", *, raw=False):
            script = saying(answer() if script is None else script) if not callable(script) else script
            chosen = certificates.good if certificate is ... else certificate
            return stack.enter_context(serving(script, chosen, address, raw=raw))

        yield start


@pytest.fixture
def fetcher_for(certificates):
    """Build a fetcher that may reach these servers as a.example.test:port, all names resolving to 127.0.0.1."""

    def build(*servers, host="a.example.test", hosts=(), **settings):
        allowed = {f"{name}:{server.port}" for server in servers for name in (host, *hosts)}
        defaults = {
            "allowed_private": frozenset(allowed),
            "resolver": lambda _host, _port: ["127.0.0.1"],
            "ca_bundle": certificates.bundle,
            "deadline_seconds": 5.0,
        }
        return HttpFetcher(FetchConfig(**(defaults | settings)))

    return build


@pytest.fixture
def request_to():
    """Build a request for a JWK Set on a server."""

    def build(server_or_url, path="/jwks", host="a.example.test", **fields):
        url = server_or_url if isinstance(server_or_url, str) else f"https://{host}:{server_or_url.port}{path}"
        defaults = {"accept": ("application/json",), "max_bytes": 64 * 1024}
        return FetchRequest(url, FetchPurpose.JWKS, **(defaults | fields))

    return build


@pytest.fixture
def error_of():
    """Run a fetch that must fail and return its error."""

    def run(fetcher, request):
        with pytest.raises(FetchError) as caught:
            fetcher.fetch(request)
        return caught.value

    return run
