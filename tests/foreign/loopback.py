"""Hosts whose names exist nowhere, on loopback: entity identifiers need a name with a dot, and nobody's name server is to be asked."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

ADDRESS = "127.0.0.1"


class LoopbackConnection(HTTPSConnection):
    """Connects to loopback whatever the name; the certificate has to be for the name."""

    def _new_conn(self) -> socket.socket:
        name, self._dns_host = self._dns_host, ADDRESS
        try:
            return super()._new_conn()
        finally:
            self._dns_host = name


class LoopbackPool(HTTPSConnectionPool):
    """Connections to loopback."""

    ConnectionCls = LoopbackConnection


class LoopbackAdapter(HTTPAdapter):
    """Sends every request to loopback."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Let requests make its pools, of our kind."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"https": LoopbackPool}


def session_on_loopback(ca_file: Path) -> requests.Session:
    """Return a session to any https server on loopback whose certificate is of the authority in `ca_file`."""
    session = requests.Session()
    session.verify, session.trust_env = str(ca_file), False
    session.mount("https://", LoopbackAdapter())
    return session
