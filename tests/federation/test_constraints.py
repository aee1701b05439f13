"""Constraints of superiors: path length, names and entity types (OpenID Federation 1.0, 6.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.constraints import Constraints, enforce_constraints, filter_entity_types, host_matches, parse_constraints
from federation.core.trust_chains import apply_chain_policies, resolve_policies, validate_trust_chain
from protocol.errors import ConstraintViolated, StatementInvalid
from tests.federation.support import ANCHOR, INTERMEDIATE, LEAF, NOW, chain_of, resolver_for, small_federation


def admits(naming: dict[str, Any], *entity_ids: str) -> bool:
    """Say whether a naming constraint lets all these entities be subordinates."""
    try:
        enforce_constraints(parse_constraints({"naming_constraints": naming}), 0, entity_ids)
    except ConstraintViolated:
        return False
    return True


# The host, the names, and whether it is permitted by them; as exclusions they must say the opposite.
NAMES: list[tuple[str, list[str], bool]] = [
    ("https://example.com", ["example.com"], True),
    ("https://example.com/", ["example.com"], True),
    ("https://example.com/any/path", ["example.com"], True),
    ("https://www.example.com", ["example.com"], False),
    ("https://example.com", [".example.com"], False),
    ("https://www.example.com", [".example.com"], True),
    ("https://a.b.example.com", [".example.com"], True),
    ("https://a.b.example.com", [".b.example.com"], True),
    ("https://b.example.com", [".b.example.com"], False),
    ("https://evil-example.com", ["example.com"], False),
    ("https://evil-example.com", [".example.com"], False),
    ("https://evilexample.com", [".example.com"], False),
    ("https://example.com.evil.org", ["example.com"], False),
    ("https://example.com.evil.org", [".example.com"], False),
    ("https://example.com.evil.org/.example.com", [".example.com"], False),
    ("https://evil.org/example.com", ["example.com"], False),
    ("https://evil.org/www.example.com", [".example.com"], False),
    ("https://EXAMPLE.com", ["example.com"], True),
    ("https://example.com", ["EXAMPLE.COM"], True),
    ("https://WWW.Example.Com", [".eXample.coM"], True),
    ("https://example.com:8443", ["example.com"], True),
    ("https://www.example.com:443", [".example.com"], True),
    ("https://com.example", [".com"], False),
    ("https://example.com", [".com"], True),
    ("https://example.com", ["com"], False),
    ("https://xn--mnchen-3ya.example", ["xn--mnchen-3ya.example"], True),
    ("https://XN--MNCHEN-3YA.example", ["xn--mnchen-3ya.example"], True),
    ("https://munchen.example", ["xn--mnchen-3ya.example"], False),
    ("https://a.xn--p1ai", [".xn--p1ai"], True),
    ("https://other.example", ["example.com", "other.example"], True),
    ("https://third.example", ["example.com", "other.example"], False),
    ("https://example.co", ["example.com"], False),
    ("https://xample.com", ["example.com"], False),
    ("https://1.example.com", [".example.com"], True),
    ("https://a_b.example.com".replace("_", "-"), [".example.com"], True),
    ("https://example.com", [], False),
]


@pytest.mark.spec("FED-CON-05", "FED-CON-06", "FED-CON-08")
@pytest.mark.threat("T04")
@pytest.mark.parametrize(("entity_id", "names", "meant"), NAMES)
def test_a_name_means_exactly_the_hosts_of_the_rule(entity_id: str, names: list[str], meant: bool) -> None:
    assert admits({"permitted": names}, entity_id) is meant
    assert admits({"excluded": names}, entity_id) is not meant


BOTH: list[tuple[dict[str, Any], str, bool]] = [
    ({}, "https://a.example", True),
    ({"permitted": ["a.example"], "excluded": ["a.example"]}, "https://a.example", False),
    ({"permitted": [".example"], "excluded": ["a.example"]}, "https://a.example", False),
    ({"permitted": [".example"], "excluded": ["a.example"]}, "https://b.example", True),
    ({"permitted": ["a.example"], "excluded": [".example"]}, "https://a.example", False),
    ({"permitted": [".b.example"], "excluded": [".c.b.example"]}, "https://a.c.b.example", False),
    ({"permitted": [".b.example"], "excluded": [".c.b.example"]}, "https://c.b.example", True),
    ({"permitted": []}, "https://a.example", False),
    ({"permitted": [], "excluded": []}, "https://a.example", False),
    ({"excluded": []}, "https://a.example", True),
    ({"unknown": ["a.example"]}, "https://a.example", True),
]


@pytest.mark.spec("FED-CON-07", "FED-CON-05", "FED-CON-02")
@pytest.mark.threat("T04")
@pytest.mark.parametrize(("naming", "entity_id", "admitted"), BOTH)
def test_what_is_excluded_is_excluded_whatever_is_permitted(naming: dict[str, Any], entity_id: str, admitted: bool) -> None:
    assert admits(naming, entity_id) is admitted


# Shapes that match no host: as exclusions they would exclude nothing, so the statement is refused.
SHAPES: list[Any] = [
    None, "a.example", {}, [1], [None], [""], ["."], [".."], ["..a.example"], ["a..example"], ["a.example."], [".a.example."],
    ["*.a.example"], ["*"], ["https://a.example"], ["a.example/"], ["a.example:443"], ["user@a.example"], ["a.example?"],
    ["m\u00fcnchen.example"], ["a.example\u3002"], ["\uff41.example"], ["a .example"], [" a.example"], ["a.example\n"], ["a.example", ""],
    ["[::1]"], [["a.example"]],
]  # fmt: skip


@pytest.mark.spec("FED-CON-05", "FED-ESV-19")
@pytest.mark.threat("T04")
@pytest.mark.parametrize("member", ["permitted", "excluded"])
@pytest.mark.parametrize("names", SHAPES, ids=range(len(SHAPES)))
def test_a_name_that_is_no_host_is_refused_and_never_ignored(names: Any, member: str) -> None:
    with pytest.raises(StatementInvalid) as caught:
        parse_constraints({"naming_constraints": {member: names}})
    assert (caught.value.reason, caught.value.claim) == ("constraints", "constraints")


labels = st.text("ab-", min_size=1, max_size=3).filter(lambda label: label[0] != "-" and label[-1] != "-")
hosts = st.lists(labels, min_size=2, max_size=4).map(".".join)
name_lists = st.lists(st.builds(lambda dot, host: dot + host, st.sampled_from(["", "."]), hosts), max_size=4)


@pytest.mark.spec("FED-CON-07")
@pytest.mark.threat("T04")
@settings(deadline=None)
@given(hosts, name_lists, name_lists, name_lists)
def test_adding_an_exclusion_never_admits_more(host: str, permitted: list[str], excluded: list[str], more: list[str]) -> None:
    naming = {"permitted": permitted, "excluded": excluded}
    if admits({**naming, "excluded": [*excluded, *more]}, f"https://{host}"):
        assert admits(naming, f"https://{host}")
    if admits(naming, f"https://{host}"):
        assert admits({"excluded": excluded}, f"https://{host}")


@settings(deadline=None)
@given(hosts, hosts)
def test_a_host_is_meant_by_a_name_when_its_labels_end_so(host: str, name: str) -> None:
    assert host_matches(host, name) is (host == name)
    wanted, labels_of = name.split("."), host.split(".")
    assert host_matches(host, f".{name}") is (len(labels_of) > len(wanted) and labels_of[-len(wanted) :] == wanted)


@pytest.mark.spec("FED-CON-08", "FED-AMB-09")
@pytest.mark.threat("T04")
@pytest.mark.parametrize("position", [0, 1, 2])
def test_every_subordinate_is_held_to_the_names(position: int) -> None:
    below = ["https://a.ok.example", "https://b.ok.example", "https://c.ok.example"]
    assert admits({"permitted": [".ok.example"]}, *below)
    below[position] = "https://a.bad.example"
    assert not admits({"permitted": [".ok.example"]}, *below)
    assert not admits({"excluded": [".bad.example"]}, *below)


BAD_LENGTHS: list[Any] = [True, False, 0.0, 1.0, 1.5, -1, -0.5, "1", None, [], {}]


@pytest.mark.spec("FED-CON-03", "FED-CON-04")
@pytest.mark.threat("T05")
@pytest.mark.parametrize("length", BAD_LENGTHS, ids=str)
def test_a_path_length_is_a_whole_number_or_the_statement_is_refused(length: Any) -> None:
    with pytest.raises(StatementInvalid) as caught:
        parse_constraints({"max_path_length": length})
    assert caught.value.reason == "constraints"


@pytest.mark.parametrize("value", [None, [], "x", 1, True, {"naming_constraints": None}, {"naming_constraints": []}], ids=str)
def test_constraints_of_another_type_are_refused(value: Any) -> None:
    with pytest.raises(StatementInvalid):
        parse_constraints(value)


@pytest.mark.spec("FED-CON-02")
def test_unknown_constraints_are_ignored() -> None:
    assert parse_constraints({"max_path_lenght": -1, "something_new": {"a": None}}) == Constraints()


BAD_TYPES: list[Any] = [None, "openid_relying_party", {}, [1], [None], ["federation_entity"], ["openid_relying_party", "federation_entity"]]


@pytest.mark.spec("FED-CON-10", "FED-ESV-19")
@pytest.mark.threat("T05")
@pytest.mark.parametrize("types", BAD_TYPES, ids=str)
def test_allowed_entity_types_of_another_shape_are_refused(types: Any) -> None:
    with pytest.raises(StatementInvalid):
        parse_constraints({"allowed_entity_types": types})


@pytest.mark.spec("FED-CON-09")
@pytest.mark.threat("T05")
def test_types_that_any_superior_leaves_out_are_removed_and_the_federation_entity_never() -> None:
    metadata = {name: {"x": name} for name in ("federation_entity", "openid_relying_party", "oauth_client", "unknown")}

    def left(*allowed: list[str] | None) -> set[str]:
        values = [{"allowed_entity_types": names} if names is not None else {} for names in allowed]
        return set(filter_entity_types(metadata, [parse_constraints(value) for value in values]))

    assert left(None) == set(metadata)
    assert left([]) == {"federation_entity"}
    assert left(["oauth_client", "never"]) == {"federation_entity", "oauth_client"}
    assert left(["oauth_client", "openid_relying_party"], None, ["openid_relying_party"]) == {"federation_entity", "openid_relying_party"}
    assert left(["oauth_client"], ["openid_relying_party"]) == {"federation_entity"}
    assert left(["OAuth_Client"]) == {"federation_entity"}


def chain_with(lower: dict[str, Any] | None = None, upper: dict[str, Any] | None = None, **leaf: Any) -> Any:
    """Return the metadata of leaf, intermediate, anchor with these constraints in the lower and the upper statement."""
    federation = small_federation(**leaf)
    for superior, subject, constraints in ((INTERMEDIATE, LEAF, lower), (ANCHOR, INTERMEDIATE, upper)):
        if constraints is not None:
            federation.entities[superior].subordinates[subject]["constraints"] = constraints
    chain = validate_trust_chain(chain_of(federation, LEAF, INTERMEDIATE, ANCHOR), [federation.anchor(ANCHOR)], now=NOW)
    return apply_chain_policies(chain, resolve_policies(chain)).metadata


# Lower and upper constraints, and whether the chain of leaf, intermediate and anchor holds.
CHAINS: list[tuple[dict[str, Any] | None, dict[str, Any] | None, bool]] = [
    ({"max_path_length": 0}, None, True),
    (None, {"max_path_length": 1}, True),
    (None, {"max_path_length": 0}, False),
    ({"max_path_length": 0}, {"max_path_length": 1}, True),
    ({"max_path_length": 0}, {"max_path_length": 7}, True),
    (None, {"naming_constraints": {"permitted": [".example"]}}, True),
    (None, {"naming_constraints": {"permitted": ["leaf.example"]}}, False),
    (None, {"naming_constraints": {"permitted": ["intermediate.example"]}}, False),
    ({"naming_constraints": {"permitted": ["leaf.example"]}}, None, True),
    (None, {"naming_constraints": {"excluded": ["leaf.example"]}}, False),
    (None, {"naming_constraints": {"excluded": ["intermediate.example"]}}, False),
    ({"naming_constraints": {"excluded": ["intermediate.example"]}}, None, True),
    (None, {"naming_constraints": {"excluded": ["anchor.example"]}}, True),
    ({"naming_constraints": {"excluded": ["leaf.example"]}}, {"naming_constraints": {"permitted": [".example"]}}, False),
]


@pytest.mark.spec("FED-CON-01", "FED-CON-03", "FED-CON-04", "FED-CON-08", "FED-TCV-10")
@pytest.mark.parametrize(("lower", "upper", "holds"), CHAINS, ids=range(len(CHAINS)))
def test_each_statement_constrains_what_is_below_its_issuer(lower: Any, upper: Any, holds: bool) -> None:
    if holds:
        assert chain_with(lower, upper)
    else:
        with pytest.raises(ConstraintViolated):
            chain_with(lower, upper)


@pytest.mark.spec("FED-CON-04")
@pytest.mark.parametrize("length", range(5))
def test_the_path_length_counts_the_intermediates_below_the_issuer(length: int) -> None:
    federation = small_federation()
    path = [f"https://i{number}.example" for number in range(3)]
    superior = ANCHOR
    for entity_id in reversed(path):
        federation.add_authority(entity_id, [superior])
        superior = entity_id
    federation.add_relying_party("https://deep.example", [path[0]])
    federation.entities[ANCHOR].subordinates[path[2]]["constraints"] = {"max_path_length": length}
    assert resolver_for(federation).resolve("https://deep.example").ok is (length >= 3)


@pytest.mark.spec("FED-CON-11", "FED-CON-09", "FED-POL-42")
@pytest.mark.threat("T05")
def test_types_are_removed_after_the_superiors_metadata_and_before_the_policy() -> None:
    """A type that is removed is not brought back by metadata, and a policy on it that would fail is not applied."""
    essential = {"oauth_client": {"never_there": {"essential": True}}}
    overlay = {"oauth_client": {"client_name": "From above"}, "openid_relying_party": {"client_name": "From above"}}
    federation = small_federation(metadata_policy=essential)
    federation.entities[LEAF].metadata["oauth_client"] = {"client_name": "Own"}
    statement = federation.entities[INTERMEDIATE].subordinates[LEAF]
    statement |= {"metadata": overlay, "constraints": {"allowed_entity_types": ["openid_relying_party"]}}
    resolution = resolver_for(federation).resolve(LEAF)
    assert resolution.metadata
    assert set(resolution.metadata.metadata) == {"openid_relying_party"}
    assert resolution.metadata.metadata["openid_relying_party"]["client_name"] == "From above"
    statement["constraints"] = {"allowed_entity_types": ["oauth_client"]}
    assert not resolver_for(federation).resolve(LEAF).ok


@pytest.mark.spec("FED-CON-12")
def test_an_entity_whose_needed_type_was_removed_has_invalid_metadata() -> None:
    federation = small_federation(constraints={"allowed_entity_types": ["openid_provider"]})
    failure = resolver_for(federation).resolve(LEAF).failure
    assert failure
    assert (failure.code, failure.step.name, failure.entity) == ("invalid_metadata", "APPLY_POLICY", LEAF)
    assert resolver_for(federation).resolve(LEAF, entity_types=()).ok
