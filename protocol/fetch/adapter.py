"""`requests` with a mounted adapter that connects to one judged route and hands over only answers that passed the head
checks.

Proxies, `.netrc`, redirects, cookies and retries are not switched off so much as unreachable: the adapter ignores what the
session says about proxies and verification, and an answer that could be redirected or drained never gets out of it (threats
F05, F06, F11, F15, F16).
"""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests
import requests.adapters
import requests.utils
import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from protocol.fetch.answers import Headers, check_framing, check_head
from protocol.fetch.config import FetchConfig
from protocol.fetch.framing import StrictHttpResponse
from protocol.fetch.messages import FetchRequest
from protocol.fetch.resolving import Route
from protocol.fetch.watchdog import Watch
from protocol.urls import WebUrl


def build_tls_context(config: FetchConfig) -> ssl.SSLContext:
    """Return the context that all fetches share: certificate and host name are always verified, TLS 1.2 or newer.

    Built by hand, so that neither SSL_CERT_FILE nor SSLKEYLOGFILE in the environment has a say.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(cafile=str(config.ca_bundle) if config.ca_bundle else requests.utils.DEFAULT_CA_BUNDLE_PATH)
    return context


class PinnedConnection(HTTPSConnection):
    """A connection to a judged address; name indication and certificate check use the host name."""

    def __init__(self, host: str, port: int | None = None, *, route: Route, config: FetchConfig, watch: Watch, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._route = route
        self._config = config
        self._watch = watch
        self.response_class = functools.partial(StrictHttpResponse, head_limit=config.max_header_bytes)  # type: ignore[assignment]

    def _new_conn(self) -> socket.socket:
        return self._route.open_socket(self._config, self._watch)


class PinnedPool(HTTPSConnectionPool):
    """A pool of one connection, for one fetch."""

    ConnectionCls = PinnedConnection


class PinnedAdapter(requests.adapters.HTTPAdapter):
    """The transport of one fetch."""

    def __init__(self, request: FetchRequest, url: WebUrl, pool: PinnedPool, config: FetchConfig) -> None:
        self._request = request
        self._url = url
        self._pool = pool
        self._config = config
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *_args: object, **_options: object) -> PinnedPool:
        """Return the pool of this fetch, whatever the session says about proxies and verification."""
        return self._pool

    def cert_verify(self, *_args: object, **_options: object) -> None:
        """Leave the pool alone: its context verifies always, and no other bundle is added to it."""

    def request_url(self, *_args: object, **_options: object) -> str:
        """Return the request target as the URL writes it, before requests normalizes it."""
        return self._url.target

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return the answer if its head allows reading on; raises `FetchError`, closing the connection unread."""
        try:
            headers = collect_headers(resp)
            check_head(self._request, resp.status, headers, now=self._config.clock())
            check_framing(self._request, headers)
            return super().build_response(req, resp)
        except BaseException:
            resp.close()
            raise

    def close(self) -> None:
        """Close the connection too."""
        self._pool.close()
        super().close()


def collect_headers(answer: urllib3.BaseHTTPResponse) -> Headers:
    """Return all headers with lower-case names, their values stripped and in order."""
    names = {name.lower() for name in answer.headers}
    return {name: tuple(value.strip() for value in answer.headers.getlist(name)) for name in names}


@contextmanager
def open_adapter(
    request: FetchRequest, url: WebUrl, route: Route, watch: Watch, config: FetchConfig, context: ssl.SSLContext
) -> Iterator[PinnedAdapter]:
    """Yield an adapter that can do one thing: send this request over this route. There is no session around it, so nothing of an earlier
    request and nothing of the environment can get into this one, and no redirect is followed.
    """
    pool = PinnedPool(
        url.host,
        url.port,
        maxsize=1,
        retries=False,
        ssl_context=context,
        cert_reqs="CERT_REQUIRED",
        route=route,
        config=config,
        watch=watch,
    )
    adapter = PinnedAdapter(request, url, pool, config)
    try:
        yield adapter
    finally:
        adapter.close()


def prepare(request: FetchRequest, url: WebUrl, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """Return the request as it is sent, without the merging and guessing that requests does for people."""
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url = request.method, url.text
    prepared.headers = requests.structures.CaseInsensitiveDict(headers)
    prepared.body = request.form or None
    if request.method == "POST":
        prepared.headers["Content-Length"] = str(len(request.form))
    return prepared
