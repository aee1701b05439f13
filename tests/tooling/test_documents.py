"""What the documents promise about settings, locks and scripts is true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [".ci/run", ".ci/services"]


def variables_of_settings() -> set[str]:
    """Return every environment variable that the settings read."""
    source = (ROOT / "portal/settings.py").read_text()
    read = re.findall(r'(?:env\.\w+|env|whole_number|switch)\(\s*"([A-Z_]+)"', source)
    tested = re.findall(r'"([A-Z_]+)" in os\.environ', source)
    return {name for name in [*read, *tested] if not name.startswith("DJANGO_")}


def test_every_environment_variable_is_explained_to_operators() -> None:
    table = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/operating.md").read_text(), re.MULTILINE))
    assert variables_of_settings() == table


def test_the_example_environment_names_only_variables_that_exist() -> None:
    named = re.findall(r"^([A-Z_]+)=", (ROOT / "deploy/credence.env.example").read_text(), re.MULTILINE)
    assert set(named) <= variables_of_settings()


def test_every_make_target_is_listed_by_make_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    assert set(re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE)) == targets


@pytest.mark.parametrize("name", ["base", "dev"])
def test_every_locked_requirement_has_hashes_and_no_index_of_its_own(name: str) -> None:
    lock = (ROOT / f"requirements/{name}.txt").read_text()
    blocks = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.splitlines()[0] for block in blocks if "==" not in block or "--hash=sha256:" not in block] == []
    assert "index-url" not in lock
    assert "://" not in lock


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_executable_and_bash_can_read_it(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_the_gate_fails_when_lint_or_tests_fail(tmp_path: Path) -> None:
    """Run a copy of the gate with a `make` that fails: it must stop there, say so and exit with 1."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/run").write_text((ROOT / ".ci/run").read_text())
    (tmp_path / "make").write_text('#!/bin/sh\n[ "$1" = test ]\n')
    (tmp_path / "make").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    gate = subprocess.run(["bash", tmp_path / ".ci/run"], env=environment, capture_output=True, text=True, check=False)
    assert gate.returncode == 1
    failed, passed, verdict = gate.stdout.splitlines()[-3:]
    assert failed.split() == ["FAILED", "make", "lint", "exit", "code", "1"]
    assert passed.startswith("passed   make test")
    assert verdict == "The change may NOT be accepted."


def test_the_gate_skips_loudly_what_cannot_be_installed(tmp_path: Path) -> None:
    """Run a copy of the gate where nothing can be installed: it passes and names what was skipped."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/run").write_text((ROOT / ".ci/run").read_text())
    for program, text in (("make", "#!/bin/sh\n"), (".ci/services", "#!/bin/sh\nexit 3\n")):
        (tmp_path / program).write_text(text)
        (tmp_path / program).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    gate = subprocess.run(["bash", tmp_path / ".ci/run"], env=environment, capture_output=True, text=True, check=False)
    assert gate.returncode == 0
    assert gate.stdout.count("##### SKIPPED") == 2
    assert gate.stdout.splitlines()[-1] == "The change may be accepted."
