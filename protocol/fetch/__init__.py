"""The one outbound fetch (house decision 11; threats F01 to F16). Nothing else in the project connects to the outside."""

from __future__ import annotations

from protocol.fetch.config import FetchConfig
from protocol.fetch.failures import failure
from protocol.fetch.fetcher import HttpFetcher
from protocol.fetch.memory import InMemoryFetcher, Page
from protocol.fetch.messages import Fetcher, FetchPurpose, FetchRequest, FetchResponse, standard_request

__all__ = [
    "FetchConfig",
    "FetchPurpose",
    "FetchRequest",
    "FetchResponse",
    "Fetcher",
    "HttpFetcher",
    "InMemoryFetcher",
    "Page",
    "failure",
    "standard_request",
]
