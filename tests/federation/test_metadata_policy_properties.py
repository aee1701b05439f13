"""What holds for every metadata policy: merging only tightens, and no input raises anything but the two documented errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from federation.core.metadata_policy import apply_policy, resolve_policy
from federation.core.policy_operators import OPERATORS
from protocol.errors import PolicyConflict, PolicyViolation

words = st.sampled_from(["a", "b", "c"])
word_lists = st.lists(words, max_size=3)
ARRAY = {"add": word_lists, "subset_of": word_lists, "superset_of": word_lists, "value": word_lists, "default": word_lists}
SCALAR = {"one_of": st.lists(words, min_size=1, max_size=3), "value": st.one_of(st.none(), words), "default": words}
array_operators = st.fixed_dictionaries({}, optional={**ARRAY, "essential": st.booleans()})
scalar_operators = st.fixed_dictionaries({}, optional={**SCALAR, "essential": st.booleans()})
array_policies = st.lists(st.dictionaries(st.sampled_from(["p", "scope"]), array_operators, max_size=2), min_size=1, max_size=3)
scalar_policies = st.lists(st.dictionaries(st.just("p"), scalar_operators, max_size=1), min_size=1, max_size=3)
metadatas = st.fixed_dictionaries({}, optional={"p": st.one_of(words, word_lists), "scope": word_lists.map(" ".join)})

CHECKS = frozenset(("one_of", "subset_of", "superset_of", "essential"))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.text("ab \u00e9\u0301", max_size=3)),
    lambda children: st.one_of(st.lists(children, max_size=3), st.dictionaries(st.text("ab", max_size=2), children, max_size=3)),
    max_leaves=8,
)
names = st.one_of(st.sampled_from(["p", "scope", *OPERATORS]), st.text(max_size=3))
half_policies = st.dictionaries(names, st.one_of(st.dictionaries(names, json_values, max_size=4), json_values), max_size=3)


def resolved_or_none(policies: list[Any]) -> dict[str, dict[str, Any]] | None:
    try:
        return resolve_policy(policies)
    except PolicyConflict:
        return None


def as_sets(value: Any) -> Any:
    """Return a value in which the order of arrays does not count (FED-POL-07)."""
    if isinstance(value, Mapping):
        return {
            name: as_sets(" ".join(sorted(member.split())) if name == "scope" and isinstance(member, str) else member)
            for name, member in value.items()
        }
    return sorted(value, key=repr) if isinstance(value, list) else value


def only_checks(policy: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {operator: value for operator, value in operators.items() if operator in CHECKS} for name, operators in policy.items()}


def passes(policy: Mapping[str, Mapping[str, Any]], metadata: Mapping[str, Any]) -> bool:
    """Say whether metadata is left as it is by every check of a policy."""
    try:
        return bool(as_sets(apply_policy(only_checks(policy), metadata)) == as_sets(metadata))
    except PolicyViolation:
        return False


@pytest.mark.spec("FED-POL-37", "FED-POL-38", "FED-POL-39")
@pytest.mark.threat("T06")
@settings(deadline=None)
@given(st.one_of(array_policies, scalar_policies), metadatas)
@example([{"p": {"essential": True}}, {"p": {"essential": False}}], {})
@example([{"p": {"subset_of": ["a"]}}, {"p": {"subset_of": ["b"]}}], {"p": ["a"]})
@example([{"p": {"value": ["a"], "subset_of": ["a"]}}, {"p": {"add": ["a"]}}], {})
def test_what_a_merged_policy_lets_through_every_single_policy_lets_through(policies: list[Any], metadata: dict[str, Any]) -> None:
    resolved = resolved_or_none(policies)
    assume(resolved is not None)
    assert resolved is not None
    try:
        result = apply_policy(resolved, metadata)
    except PolicyViolation:
        return
    for policy in policies:
        assert passes(policy, result), (policy, result)
        for name, operators in policy.items():
            if "value" in operators:
                assert result.get(name) is None if operators["value"] is None else name in result


@pytest.mark.spec("FED-POL-12", "FED-POL-17", "FED-POL-20", "FED-POL-22")
@pytest.mark.threat("T06")
@settings(deadline=None)
@given(st.one_of(array_policies, scalar_policies))
def test_merging_is_associative_where_it_succeeds(policies: list[Any]) -> None:
    whole = resolved_or_none(policies)
    assume(whole is not None)
    for cut in range(1, len(policies)):
        upper, lower = resolved_or_none(policies[:cut]), resolved_or_none(policies[cut:])
        assert upper is not None
        assert lower is not None
        assert as_sets(resolved_or_none([upper, lower])) == as_sets(whole)


@settings(deadline=None)
@given(st.one_of(array_policies, scalar_policies))
def test_merging_a_policy_with_itself_or_with_nothing_changes_nothing(policies: list[Any]) -> None:
    resolved = resolved_or_none(policies)
    assume(resolved is not None)
    for more in ([resolved, resolved], [{}, resolved], [resolved, {}], [resolved]):
        assert as_sets(resolved_or_none(more)) == as_sets(resolved)


@pytest.mark.spec("FED-POL-19", "FED-POL-43")
@settings(deadline=None)
@given(st.one_of(array_policies, scalar_policies), metadatas)
def test_applying_a_policy_twice_is_applying_it_once(policies: list[Any], metadata: dict[str, Any]) -> None:
    resolved = resolved_or_none(policies)
    assume(resolved is not None)
    assert resolved is not None
    try:
        once = apply_policy(resolved, metadata)
    except PolicyViolation:
        return
    assert as_sets(apply_policy(resolved, once)) == as_sets(once)


@settings(deadline=None)
@given(st.one_of(st.lists(half_policies, max_size=3), st.lists(json_values, max_size=3)), st.dictionaries(names, json_values, max_size=3))
@pytest.mark.threat("T06")
def test_no_json_raises_anything_but_a_conflict_or_a_violation(policies: list[Any], metadata: dict[str, Any]) -> None:
    try:
        result = apply_policy(resolve_policy(policies), metadata)
    except (PolicyConflict, PolicyViolation) as error:
        assert len(error.description) < 1000  # noqa: PT017 - every error, not one
    else:
        assert set(metadata) <= set(result) | {name for policy in policies for name in policy}
