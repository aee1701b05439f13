"""The public metadata policy cases, error class included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from federation.core.metadata_policy import apply_policy, resolve_policy
from protocol.errors import PolicyConflict, PolicyViolation

CASES = json.loads((Path(__file__).parent.parent / "vectors" / "metadata-policy.json").read_text())


def as_sets(value: Any) -> Any:
    """Return a value in which arrays are compared as sets."""
    if isinstance(value, dict):
        return {name: as_sets(member) for name, member in value.items()}
    return sorted(value, key=str) if isinstance(value, list) else value


@pytest.mark.spec(
    "FED-POL-05", "FED-POL-06", "FED-POL-08", "FED-POL-09", "FED-POL-10", "FED-POL-11", "FED-POL-12", "FED-POL-13", "FED-POL-14"
)
@pytest.mark.spec(
    "FED-POL-15", "FED-POL-16", "FED-POL-17", "FED-POL-18", "FED-POL-19", "FED-POL-20", "FED-POL-21", "FED-POL-22", "FED-POL-23"
)
@pytest.mark.spec("FED-POL-24", "FED-POL-25", "FED-POL-26", "FED-POL-35", "FED-POL-37", "FED-POL-38", "FED-POL-39", "FED-POL-43")
@pytest.mark.threat("T06")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['n']}-{'-'.join(case['combination'])}")
def test_a_public_case_resolves_as_published(case: dict[str, Any]) -> None:
    policies = [case["TA"], case["INT"]]
    if case.get("error") == "invalid_policy":
        with pytest.raises(PolicyConflict):
            resolve_policy(policies)
        return
    resolved = resolve_policy(policies)
    assert as_sets(resolved) == as_sets(case["merged"])
    if case.get("error") == "invalid_metadata":
        with pytest.raises(PolicyViolation):
            apply_policy(resolved, case["metadata"])
    else:
        assert as_sets(apply_policy(resolved, case["metadata"])) == as_sets(case["resolved"])
