"""The production application for gunicorn. What it fetches comes over TLS as ever, but every name is on loopback."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from portal.wsgi import application
from protocol.fetch import HttpFetcher
from registry.outbound import build_fetch_config, use_fetcher
from tests.foreign.loopback import ADDRESS

__all__ = ["application"]

_for_good = ExitStack()
_for_good.enter_context(use_fetcher(HttpFetcher(replace(build_fetch_config(), resolver=lambda host, port: [ADDRESS]))))
