"""Runs a command of the documentation as a newcomer pastes it: the shell expands it, and what curl would send goes to the test client."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.test import Client as Browser

# Prints what curl was called with; the rest of the command is the shell's own.
_SHELL = """curl() { for word in "$@"; do printf '%s\\0' "$word"; done; }\n"""


def shell(command: str, values: Mapping[str, str]) -> str:
    """Return what the command prints with `values` as variables. A variable that it needs and nobody gave fails."""
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _SHELL + command],
        capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], **values},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def paste(command: str, **values: str) -> Any:
    """Return the answer to the one request that the command sends."""
    method, url, headers, data = "", "", {}, []
    for option, value in _options(shell(command, values).removesuffix("\0").split("\0")):
        if option == "url":
            url = value
        elif option == "--user":
            headers["Authorization"] = "Basic " + base64.b64encode(value.encode()).decode()
        elif option == "--header":
            name, _, content = value.partition(":")
            headers[name] = content.strip()
        elif option == "--request":
            method = value
        elif option == "--data-urlencode":
            name, _, content = value.partition("=")
            data.append(f"{name}={quote(content, safe='')}")
        else:
            assert option == "--data", f"the tests do not know curl's {option}"
            data.append(value)
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == settings.ISSUER, url
    kind = headers.pop("Content-Type", "application/x-www-form-urlencoded")
    browser = Browser(SERVER_NAME=parts.hostname, SERVER_PORT=str(parts.port or 80))
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return browser.generic(method or ("POST" if data else "GET"), path, "&".join(data), content_type=kind, headers=headers)


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        yield (word, next(rest)) if word.startswith("--") else ("url", word)


def members(answer: Any) -> dict[str, Any]:
    """Return the JSON of a good answer."""
    assert 200 <= answer.status_code < 300, answer.content
    return dict(json.loads(answer.content))
