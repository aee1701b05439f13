"""Metadata policy beyond the public cases: structure, scope, unknown operators, objects and numbers, and how errors are worded."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

from federation.core.metadata_policy import apply_policy, resolve_policy
from federation.core.trust_chains import PolicyMemory
from protocol.errors import PolicyConflict, PolicyViolation
from tests.federation.support import (
    ANCHOR,
    INTERMEDIATE,
    LEAF,
    OTHER,
    Clock,
    resolver_for,
    sign,
    small_federation,
    statement_claims,
    verify_statement,
)


def resolved_metadata(anchor: Any = None, intermediate: Any = None, overlay: Any = None, **leaf: Any) -> dict[str, Any]:
    """Return the leaf's metadata as a relying party with these policies above it."""
    federation = small_federation()
    federation.entities[LEAF].metadata = {"openid_relying_party": leaf}
    for superior, subject, policy in ((ANCHOR, INTERMEDIATE, anchor), (INTERMEDIATE, LEAF, intermediate)):
        if policy is not None:
            federation.entities[superior].subordinates[subject]["metadata_policy"] = policy
    if overlay is not None:
        federation.entities[INTERMEDIATE].subordinates[LEAF]["metadata"] = overlay
    resolution = resolver_for(federation).resolve(LEAF)
    if not resolution.metadata:
        assert resolution.failure
        raise resolution.failure.error
    return dict(resolution.metadata.metadata["openid_relying_party"])


def rp(**policy: Any) -> dict[str, Any]:
    return {"openid_relying_party": policy}


BAD_POLICIES: list[tuple[Any, str]] = [
    (None, ""),
    ([], ""),
    ("x", ""),
    ({"name": None}, "name"),
    ({"name": []}, "name"),
    ({"name": "value"}, "name"),
    ({"name": {"essential": 1}}, "name"),
    ({"name": {"essential": "true"}}, "name"),
    ({"name": {"essential": None}}, "name"),
    ({"name": {"add": "x"}}, "name"),
    ({"name": {"add": None}}, "name"),
    ({"name": {"add": [None]}}, "name"),
    ({"name": {"add": [True]}}, "name"),
    ({"name": {"add": [["x"]]}}, "name"),
    ({"name": {"subset_of": {"a": 1}}}, "name"),
    ({"name": {"subset_of": ["a", None]}}, "name"),
    ({"name": {"superset_of": 3}}, "name"),
    ({"name": {"one_of": []}}, "name"),
    ({"name": {"one_of": "x"}}, "name"),
    ({"name": {"one_of": [False]}}, "name"),
    ({"name": {"default": None}}, "name"),
    ({"name": {"default": {"a": 1}}}, "name"),
    ({"name": {"value": {"a": 1}}}, "name"),
    ({"name": {"add": ["a"], "one_of": ["a"]}}, "name"),
    ({"name": {"subset_of": ["a"], "one_of": ["a"]}}, "name"),
    ({"name": {"superset_of": ["a"], "one_of": ["a"]}}, "name"),
    ({"name": {"value": None, "essential": True}}, "name"),
    ({"name": {"value": None, "default": "x"}}, "name"),
    ({"name": {"value": "a", "one_of": ["b"]}}, "name"),
    ({"name": {"value": True, "one_of": ["true"]}}, "name"),
    ({"name": {"value": 1, "one_of": ["1"]}}, "name"),
]


@pytest.mark.spec("FED-POL-01", "FED-POL-05", "FED-POL-06", "FED-POL-28", "FED-POL-36")
@pytest.mark.threat("T06")
@pytest.mark.parametrize(("policy", "member"), BAD_POLICIES, ids=range(len(BAD_POLICIES)))
def test_a_policy_of_another_shape_is_a_conflict_that_names_the_parameter(policy: Any, member: str) -> None:
    with pytest.raises(PolicyConflict) as caught:
        resolve_policy([{}, policy])
    if member:
        assert caught.value.members == (member,)
        assert repr(member) in caught.value.description
    assert caught.value.code == "invalid_metadata"


@pytest.mark.spec("FED-POL-05")
def test_operator_names_are_compared_exactly() -> None:
    assert resolve_policy([{"name": {"Value": "x", "ONE_OF": [], "essential": True}}]) == {"name": {"essential": True}}


@pytest.mark.spec("FED-POL-31", "FED-POL-32", "FED-POL-33")
def test_an_unknown_operator_is_ignored_until_it_is_critical() -> None:
    policy = {"name": {"regexp": {"any": None}, "essential": True}, "other": {"regexp": "^a"}}
    assert resolve_policy([policy]) == {"name": {"essential": True}, "other": {}}
    assert apply_policy(resolve_policy([policy]), {"name": "x", "other": "b"}) == {"name": "x", "other": "b"}
    with pytest.raises(PolicyConflict, match="'regexp'"):
        resolve_policy([policy], critical_operators=["regexp"])
    with pytest.raises(PolicyConflict, match="'never_used'"):
        resolve_policy([policy], critical_operators=["never_used"])


@pytest.mark.spec("FED-POL-33", "FED-POL-34", "FED-ESV-18", "FED-TCV-11")
@pytest.mark.parametrize("statement", [(ANCHOR, INTERMEDIATE), (INTERMEDIATE, LEAF)], ids=["anchor", "intermediate"])
def test_a_critical_operator_in_any_statement_governs_the_whole_chain(statement: tuple[str, str]) -> None:
    federation = small_federation()
    superior, subject = statement
    federation.entities[superior].subordinates[subject]["metadata_policy_crit"] = ["regexp"]
    failure = resolver_for(federation).resolve(LEAF).failure
    assert failure
    assert (type(failure.error), failure.step.name, failure.fixer.value) == (PolicyConflict, "MERGE_POLICIES", "the federation operator")


@pytest.mark.spec("FED-POL-36", "FED-TCV-11")
def test_a_conflict_about_a_type_that_nobody_asks_for_invalidates_the_chain_too() -> None:
    with pytest.raises(PolicyConflict):
        resolved_metadata({"openid_provider": {"issuer": {"one_of": ["a"]}}}, {"openid_provider": {"issuer": {"one_of": ["b"]}}})
    with pytest.raises(PolicyConflict):
        resolved_metadata({"a_type_nobody_knows": {"x": {"essential": "yes"}}})


SCOPES: list[tuple[dict[str, Any], Any, Any]] = [
    ({"subset_of": ["openid", "email"]}, "email openid profile", "email openid"),
    ({"subset_of": "openid email"}, "email openid profile", "email openid"),
    ({"subset_of": []}, "openid", ""),
    ({"add": ["email"]}, "openid", "openid email"),
    ({"add": ["openid"]}, "openid", "openid"),
    ({"add": ["email"]}, None, "email"),
    ({"superset_of": ["openid"]}, "email openid", "email openid"),
    ({"value": ["openid"]}, "anything", "openid"),
    ({"value": "openid email"}, None, "openid email"),
    ({"default": "openid email"}, None, "openid email"),
    ({"default": ["openid", "email"]}, "profile", "profile"),
    ({"essential": True}, "openid", "openid"),
    ({"subset_of": ["openid"]}, " openid  openid ", "openid"),
    ({"subset_of": ["openid"]}, "openid\tadmin", ""),
    ({"subset_of": ["openid"]}, "openid\u00a0admin", ""),
    ({"subset_of": ["openid"]}, "OPENID", ""),
]


@pytest.mark.spec("FED-POL-29", "FED-POL-30", "FED-POL-43")
@pytest.mark.parametrize(("operators", "declared", "expected"), SCOPES, ids=range(len(SCOPES)))
def test_scope_is_an_array_for_operators_and_one_string_again_afterwards(operators: dict[str, Any], declared: Any, expected: Any) -> None:
    metadata = {} if declared is None else {"scope": declared}
    assert apply_policy(resolve_policy([{"scope": operators}]), metadata)["scope"] == expected


@pytest.mark.spec("FED-POL-29")
def test_scope_that_lacks_what_is_demanded_is_refused() -> None:
    with pytest.raises(PolicyViolation, match="demanded"):
        apply_policy({"scope": {"superset_of": ["openid"]}}, {"scope": "email"})


@pytest.mark.spec("FED-POL-29", "FED-POL-30")
def test_scope_strings_and_arrays_of_two_superiors_are_merged_as_arrays() -> None:
    assert resolve_policy([{"scope": {"subset_of": "openid email"}}, {"scope": {"subset_of": ["email", "x"]}}]) == {
        "scope": {"subset_of": ["email"]}
    }
    assert resolve_policy([{"scope": {"value": "a b"}}, {"scope": {"value": ["b", "a"]}}])
    with pytest.raises(PolicyConflict):
        resolve_policy([{"scope": {"value": "a b", "subset_of": "a"}}])


@pytest.mark.spec("FED-POL-29")
def test_no_other_parameter_is_split_at_spaces() -> None:
    with pytest.raises(PolicyViolation):
        apply_policy({"client_name": {"subset_of": ["a"]}}, {"client_name": "a b"})
    assert apply_policy({"client_name": {"one_of": ["a b"]}}, {"client_name": "a b"}) == {"client_name": "a b"}
    assert apply_policy({"scope#en": {"one_of": ["a b"]}}, {"scope#en": "a b"}) == {"scope#en": "a b"}


APPLICATIONS: list[tuple[dict[str, Any], Any, Any]] = [
    ({"one_of": ["a"]}, ..., ...),
    ({"subset_of": ["a"]}, ..., ...),
    ({"superset_of": ["a"]}, ..., ...),
    ({"subset_of": ["a"], "essential": True}, ["b"], []),
    ({"essential": True}, [], []),
    ({"essential": True}, False, False),
    ({"essential": True}, {}, {}),
    ({"essential": True}, "", ""),
    ({"essential": False}, ..., ...),
    ({"value": None}, "x", ...),
    ({"value": []}, ["x"], []),
    ({"one_of": [1, 2]}, 1, 1),
    ({"one_of": [{"a": 1}]}, {"a": 1}, {"a": 1}),
    ({"subset_of": [1, {"a": 1}]}, [{"a": 1}, {"a": 2}, 1, True], [{"a": 1}, 1]),
    ({"add": [{"a": 1}]}, [{"a": 1}], [{"a": 1}]),
    ({"superset_of": [3]}, [1, 2, 3], [1, 2, 3]),
    ({"default": 0}, ..., 0),
    ({"default": False}, ..., False),
    ({"default": []}, ..., []),
    ({"default": "x"}, "y", "y"),
]


@pytest.mark.spec("FED-POL-06", "FED-POL-19", "FED-POL-25", "FED-POL-27", "FED-POL-28")
@pytest.mark.parametrize(("operators", "declared", "expected"), APPLICATIONS, ids=range(len(APPLICATIONS)))
def test_an_operator_makes_of_a_parameter_what_the_standard_says(operators: dict[str, Any], declared: Any, expected: Any) -> None:
    result = apply_policy(resolve_policy([{"p": operators}]), {} if declared is ... else {"p": declared})
    assert result == ({} if expected is ... else {"p": expected})


VIOLATIONS: list[tuple[dict[str, Any], Any]] = [
    ({"essential": True}, ...),
    ({"one_of": ["a"]}, "b"),
    ({"one_of": ["a"]}, ["a"]),
    ({"one_of": ["a"]}, []),
    ({"one_of": [1]}, True),
    ({"one_of": ["1"]}, 1),
    ({"one_of": [0]}, False),
    ({"one_of": ["true"]}, True),
    ({"subset_of": ["a"]}, "a"),
    ({"subset_of": ["a"]}, {"a": 1}),
    ({"superset_of": ["a"]}, "a"),
    ({"superset_of": [1]}, [True]),
    ({"superset_of": ["a", "b"]}, ["a"]),
    ({"add": ["a"]}, "b"),
    ({"default": "x", "one_of": ["y"]}, ...),
    ({"one_of": [{"a": 1}]}, {"a": True}),
]


@pytest.mark.spec("FED-POL-05", "FED-POL-15", "FED-POL-16", "FED-POL-25", "FED-POL-27", "FED-AMB-07")
@pytest.mark.threat("T06")
@pytest.mark.parametrize(("operators", "declared"), VIOLATIONS, ids=range(len(VIOLATIONS)))
def test_metadata_that_breaks_the_policy_is_a_violation_that_names_the_parameter(operators: dict[str, Any], declared: Any) -> None:
    with pytest.raises(PolicyViolation) as caught:
        apply_policy(resolve_policy([{"p": operators}]), {} if declared is ... else {"p": declared})
    assert caught.value.members == ("p",)
    assert "'p'" in caught.value.description


@pytest.mark.spec("FED-POL-15")
def test_a_default_that_breaks_a_later_check_merges_and_fails_when_it_is_applied() -> None:
    policy = resolve_policy([{"p": {"one_of": ["a"]}}, {"p": {"default": "b"}}])
    assert apply_policy(policy, {"p": "a"}) == {"p": "a"}
    with pytest.raises(PolicyViolation):
        apply_policy(policy, {})


@pytest.mark.spec("FED-POL-03")
def test_a_language_tag_makes_another_parameter() -> None:
    policy = {"client_name#de": {"value": "Turm"}}
    assert apply_policy(policy, {"client_name": "Tower"}) == {"client_name": "Tower", "client_name#de": "Turm"}


@pytest.mark.spec("FED-POL-43")
def test_operators_are_applied_in_their_fixed_order_whatever_order_they_are_written_in() -> None:
    operators = {"superset_of": ["a"], "subset_of": ["a", "b", "c"], "default": ["c"], "add": ["a"], "essential": True}
    for names in (list(operators), sorted(operators), sorted(operators, reverse=True)):
        policy = resolve_policy([{"p": {name: operators[name] for name in names}}])
        assert apply_policy(policy, {"p": ["b", "x"]}) == {"p": ["b", "a"]}
        assert apply_policy(policy, {}) == {"p": ["a"]}


def test_the_input_stays_as_it_is() -> None:
    policies = [{"p": {"add": ["a"]}, "scope": {"subset_of": "a b"}}, {"p": {"add": ["b"]}}]
    metadata = {"p": ["x"], "scope": "a c"}
    before = copy.deepcopy((policies, metadata))
    resolved = resolve_policy(policies)
    assert apply_policy(resolved, metadata) == {"p": ["x", "a", "b"], "scope": "a"}
    assert (policies, metadata) == before


def test_no_error_repeats_long_or_harmful_foreign_text() -> None:
    name = "\x1b[31m" + "x" * 100_000
    for broken in ({name: {"essential": 1}}, {name: {"value": "a", "one_of": ["b" * 100_000]}}):
        with pytest.raises(PolicyConflict) as caught:
            resolve_policy([broken])
        assert len(caught.value.description) < 300
        assert "\x1b" not in caught.value.description
    with pytest.raises(PolicyViolation) as violated:
        apply_policy({name: {"one_of": ["a"]}}, {name: "b" * 100_000})
    assert len(violated.value.description) < 300
    with pytest.raises(PolicyConflict) as caught:
        resolve_policy([], critical_operators=[name])
    assert len(caught.value.description) < 300


@pytest.mark.spec("FED-POL-40", "FED-POL-41", "FED-POL-42", "FED-POL-44")
@pytest.mark.threat("T07")
def test_the_immediate_superiors_metadata_goes_over_the_entitys_own_before_any_policy() -> None:
    overlay = {
        "openid_relying_party": {"client_name": "Above", "contacts": ["a@b.example"]},
        "oauth_client": {"client_name": "No such type"},
    }
    assert resolved_metadata(overlay=overlay, client_name="Own", scope="openid") == {
        "client_name": "Above",
        "contacts": ["a@b.example"],
        "scope": "openid",
    }
    refused = rp(client_name={"one_of": ["Own"]})
    assert resolved_metadata(refused, client_name="Own")["client_name"] == "Own"
    with pytest.raises(PolicyViolation):
        resolved_metadata(refused, overlay=overlay, client_name="Own")
    federation = small_federation()
    federation.entities[INTERMEDIATE].subordinates[LEAF]["metadata"] = overlay
    found = resolver_for(federation).resolve(LEAF)
    assert found.metadata
    assert set(found.metadata.metadata) == {"openid_relying_party"}


@pytest.mark.spec("FED-POL-41")
@pytest.mark.threat("T07")
def test_metadata_of_a_higher_superior_does_not_reach_the_leaf() -> None:
    federation = small_federation()
    federation.entities[ANCHOR].subordinates[INTERMEDIATE]["metadata"] = {"openid_relying_party": {"client_name": "From the anchor"}}
    found = resolver_for(federation).resolve(LEAF)
    assert found.metadata
    assert found.metadata.metadata["openid_relying_party"]["client_name"] == f"App of {LEAF}"
    assert found.metadata.changes == ()


@pytest.mark.spec("FED-POL-44")
def test_without_policy_metadata_is_what_was_declared() -> None:
    declared = {"client_name": "A", "x": {"deep": [1, {"y": None}]}, "scope": " two  spaces "}
    assert resolved_metadata(**declared) == declared


@pytest.mark.spec("FED-POL-46")
def test_neither_overlay_nor_policy_moves_the_endpoint_that_is_asked() -> None:
    federation = small_federation()
    elsewhere = {"federation_fetch_endpoint": "https://elsewhere.example/fetch"}
    statement = federation.entities[ANCHOR].subordinates[INTERMEDIATE]
    statement["metadata"] = {"federation_entity": elsewhere}
    statement["metadata_policy"] = {"federation_entity": {"federation_fetch_endpoint": {"value": elsewhere["federation_fetch_endpoint"]}}}
    fetcher = federation.fetcher()
    assert resolver_for(federation, fetcher=fetcher).resolve(LEAF).ok
    assert not any("elsewhere" in url for url in fetcher.fetches)


@pytest.mark.spec("FED-POL-35", "FED-POL-37", "FED-POL-45", "FED-TCV-11")
@pytest.mark.threat("T07")
def test_policies_are_merged_from_the_anchor_down_and_a_conflict_ends_the_chain() -> None:
    upper, lower = (
        rp(scope={"subset_of": ["openid", "email"]}),
        rp(scope={"subset_of": ["email", "phone"]}, contacts={"add": ["x@y.example"]}),
    )
    assert resolved_metadata(upper, lower, scope="openid email phone") == {"scope": "email", "contacts": ["x@y.example"]}
    with pytest.raises(PolicyConflict):
        resolved_metadata(rp(p={"value": "a"}), rp(p={"value": "b"}))
    with pytest.raises(PolicyViolation):
        resolved_metadata(rp(p={"essential": True}), rp(p={"one_of": ["a"]}))


def test_every_change_says_who_made_it_and_by_which_rule() -> None:
    federation = small_federation()
    federation.entities[ANCHOR].subordinates[INTERMEDIATE]["metadata_policy"] = rp(response_types={"subset_of": ["none"]})
    federation.entities[INTERMEDIATE].subordinates[LEAF] |= {
        "metadata_policy": rp(contacts={"default": ["a@b.example"]}),
        "metadata": rp(client_name="Above"),
    }
    found = resolver_for(federation).resolve(LEAF)
    assert found.metadata
    changes = {
        change.parameter: (change.declared, change.resolved, set(change.operators), change.set_by) for change in found.metadata.changes
    }
    assert changes == {
        "client_name": (f"App of {LEAF}", "Above", set(), (INTERMEDIATE,)),
        "contacts": (None, ["a@b.example"], {"default"}, (INTERMEDIATE,)),
        "response_types": (["code"], [], {"subset_of"}, (ANCHOR,)),
    }


def statement_with(policy: dict[str, Any], **claims: Any) -> Any:
    return verify_statement(sign(statement_claims(metadata_policy=policy, **claims)))


def test_the_memory_of_policies_is_bounded_and_gives_the_same_as_no_memory() -> None:
    memory = PolicyMemory(limit=2)
    for number in range(5):
        statements = [statement_with(rp(p={"add": [str(number)]})), statement_with(rp(p={"add": ["top"]}))]
        assert memory.merged(statements) == PolicyMemory().merged(statements)
    assert len(memory._merged) == 2


def test_the_memory_of_policies_tells_apart_what_differs_only_in_type_or_in_what_is_critical() -> None:
    memory = PolicyMemory()
    one, true, number = (memory.merged([statement_with(rp(p={"value": value}))]) for value in ("1", True, 1))
    assert len({repr(one), repr(true), repr(number)}) == 3
    memory.merged([statement_with(rp(p={"essential": True}))])
    with pytest.raises(PolicyConflict):
        memory.merged([statement_with(rp(p={"essential": True}), metadata_policy_crit=["regexp"])])


def test_the_memory_of_policies_may_be_used_from_several_threads() -> None:
    memory, errors = PolicyMemory(limit=1), []
    statements = [statement_with(rp(p={"add": [str(number)]})) for number in range(8)]

    def merge() -> None:
        try:
            for number in range(300):
                assert memory.merged([statements[number % 8]])
        except KeyError as error:
            errors.append(error)

    threads = [threading.Thread(target=merge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.spec("FED-POL-30")
@pytest.mark.parametrize("entity_type", ["openid_relying_party", "oauth_client"])
def test_the_scope_rule_holds_for_both_types_of_clients(entity_type: str) -> None:
    federation = small_federation(Clock())
    federation.add_relying_party(OTHER, [INTERMEDIATE], metadata_policy={entity_type: {"scope": {"subset_of": ["a"]}}})
    federation.entities[OTHER].metadata = {entity_type: {"scope": "b a"}}
    found = resolver_for(federation).resolve(OTHER)
    assert found.metadata
    assert found.metadata.metadata[entity_type]["scope"] == "a"
