"""A fetcher without a network, for tests, the simulator and the demo; it applies the same rules to answers as the real one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from protocol.errors import FetchError
from protocol.fetch.answers import check_body, check_head
from protocol.fetch.config import FetchConfig
from protocol.fetch.failures import copy_of, status_failure
from protocol.fetch.fetcher import admit_url
from protocol.fetch.messages import FetchRequest, FetchResponse


@dataclass(frozen=True, slots=True)
class Page:
    """An answer as a server would give it. `headers` have lower-case names."""

    body: bytes
    media_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


# A page, an error to raise, or a function that makes either from the request; None is a 404.
PageSource = Page | FetchError | Callable[[FetchRequest], Page | FetchError | None] | None


class InMemoryFetcher:
    """Answers from `pages` by exact URL, else from `otherwise`, else with 404, and counts what was asked for.

    `config` decides which URLs are refused, as for `HttpFetcher`; `clock` gives Unix seconds.
    """

    def __init__(
        self,
        pages: Mapping[str, PageSource] | None = None,
        *,
        otherwise: PageSource = None,
        config: FetchConfig | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pages: dict[str, PageSource] = dict(pages or {})
        self._otherwise = otherwise
        self._config = config or FetchConfig()
        self._clock = clock
        self._lock = threading.Lock()
        self._fetches: Counter[str] = Counter()
        self._requests: list[FetchRequest] = []

    @property
    def fetches(self) -> Mapping[str, int]:
        """How often each URL was asked for, refused URLs not counted."""
        with self._lock:
            return dict(self._fetches)

    @property
    def requests(self) -> tuple[FetchRequest, ...]:
        """All requests in order, refused URLs left out."""
        with self._lock:
            return tuple(self._requests)

    @property
    def total(self) -> int:
        """The number of fetches."""
        return len(self.requests)

    def put(self, url: str, page: PageSource) -> None:
        """Serve `page` under `url` from now on; an error makes the URL fail."""
        with self._lock:
            self._pages[url] = page

    def remove(self, url: str) -> None:
        """Serve nothing under `url` any more."""
        with self._lock:
            self._pages.pop(url, None)

    def reset_counts(self) -> None:
        """Forget what was asked for."""
        with self._lock:
            self._fetches.clear()
            self._requests.clear()

    def fetch(self, request: FetchRequest) -> FetchResponse:
        """Return the page if it passes the checks of the real fetcher; raises `FetchError`."""
        admit_url(request, self._config)
        with self._lock:
            self._fetches[request.url] += 1
            self._requests.append(request)
            source = self._pages.get(request.url, self._otherwise)
        found = source(request) if callable(source) else source
        if found is None:
            raise status_failure(404, None)
        if isinstance(found, FetchError):
            raise copy_of(found)
        return self._answer(request, found)

    def fetch_many(self, requests: Sequence[FetchRequest]) -> list[FetchResponse | FetchError]:
        """Return one result for each request, in order, one after the other."""
        return [self._fetch_or_error(request) for request in requests]

    def _fetch_or_error(self, request: FetchRequest) -> FetchResponse | FetchError:
        try:
            return self.fetch(request)
        except FetchError as error:
            return error

    def _answer(self, request: FetchRequest, page: Page) -> FetchResponse:
        now = self._clock()
        headers = {**page.headers, "content-type": page.media_type}
        media_type = check_head(request, page.status, {name: (value,) for name, value in headers.items()}, now=now)
        body = check_body(request, None, page.body)
        return FetchResponse(request.url, page.status, media_type, MappingProxyType(headers), body, int(now))
