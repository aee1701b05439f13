"""A foreign implementation in a process of its own: it takes a command from each line, in JSON, and answers it with a line."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.foreign.conftest import ROOT

OPENID_CLIENT: Final = ROOT / "build" / "openid-client"


def beside_openid_client(script: Path) -> Path:
    """Return a copy of a script beside openid-client from the npm registry, where Node finds it; skip when that cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are needed for openid-client")
    OPENID_CLIENT.mkdir(parents=True, exist_ok=True)
    if not (OPENID_CLIENT / "node_modules" / "openid-client").is_dir():
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(OPENID_CLIENT)]
        command = ["npm", "install", *options, "openid-client@6", "jose@6"]
        done = subprocess.run(command, cwd=OPENID_CLIENT, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"npm could not install openid-client: {done.stderr[-500:]}")
    return Path(shutil.copy(script, OPENID_CLIENT))


class ForeignProcess:
    """A script that runs the implementation; it ends when its input does."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command: str, **given: Any) -> dict[str, Any]:
        """Send a command and return the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"command": command, **given}) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def do(self, command: str, **given: Any) -> dict[str, Any]:
        """Send a command that has to succeed."""
        answer = self.ask(command, **given)
        assert "problem" not in answer, answer
        return answer

    def end(self) -> None:
        """End the script, by force if it does not end by itself."""
        try:
            self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
