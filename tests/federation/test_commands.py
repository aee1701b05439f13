"""The commands of operators: accepting a trust anchor and explaining a resolution."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from federation.core.resolution import StepNumber
from federation.models import TrustAnchorRecord
from federation.resolving import get_resolver, statement_cache
from federation.simulator import Fault, SimulatedFederation
from protocol.fetch import InMemoryFetcher
from protocol.jose import generate_private_key
from registry.models import AuditEvent
from registry.outbound import use_fetcher
from tests.federation.support import ANCHOR, INTERMEDIATE, LEAF, OTHER, jwks, signing_key, small_federation

pytestmark = pytest.mark.django_db


@pytest.fixture
def federation() -> SimulatedFederation:
    """A federation on the real clock, because commands read it."""
    return small_federation(lambda: timezone.now().timestamp())


@pytest.fixture
def fetcher(federation: SimulatedFederation) -> Iterator[InMemoryFetcher]:
    """What commands fetch with; nothing is remembered from another test."""
    answering = federation.fetcher()
    statement_cache._kept.clear()
    with use_fetcher(answering):
        yield answering


@pytest.fixture
def accepted(federation: SimulatedFederation, tmp_path: Path) -> TrustAnchorRecord:
    """The anchor of the federation, accepted."""
    return accept(ANCHOR, public(federation, ANCHOR), tmp_path)


def public(federation: SimulatedFederation, entity_id: str) -> dict[str, Any]:
    return {"keys": [key.public_jwk() for key in federation.entities[entity_id].keys]}


def accept(entity_id: str, document: Any, folder: Path, *options: str) -> TrustAnchorRecord:
    file = folder / "jwks.json"
    file.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    call_command("add_trust_anchor", entity_id, "--jwks", str(file), *options, stdout=StringIO())
    return TrustAnchorRecord.objects.get(entity_id=entity_id)


def resolve(*arguments: str) -> tuple[int, str]:
    """Return the exit status and the output of the command."""
    out = StringIO()
    try:
        call_command("resolve", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


# Accepting


@pytest.mark.spec("FED-TCH-04", "FED-TCR-01")
@pytest.mark.threat("T09")
def test_an_anchor_is_accepted_with_the_keys_of_the_file_and_audited(tmp_path: Path) -> None:
    row = accept(ANCHOR, jwks(ANCHOR, OTHER), tmp_path, "--organizations", "match")
    assert (row.organizations, row.is_enabled) == ("match", True)
    assert [key["kid"] for key in row.jwks["keys"]] == [signing_key(ANCHOR).kid, signing_key(OTHER).kid]
    event = AuditEvent.objects.get(event="trust_anchor.added")
    assert event.object_label == ANCHOR
    assert event.difference["kids"] == [None, [signing_key(ANCHOR).kid, signing_key(OTHER).kid]]


@pytest.mark.threat("T09")
def test_pinning_new_keys_is_audited_with_both_and_keeps_the_rule_for_organizations(tmp_path: Path) -> None:
    accept(ANCHOR, jwks(ANCHOR), tmp_path, "--organizations", "create")
    row = accept(ANCHOR, jwks(OTHER), tmp_path)
    assert TrustAnchorRecord.objects.count() == 1
    assert row.organizations == "create"
    event = AuditEvent.objects.get(event="trust_anchor.changed")
    assert event.difference["kids"] == [[signing_key(ANCHOR).kid], [signing_key(OTHER).kid]]
    assert event.difference["organizations"] == ["create", "create"]
    assert accept(OTHER, jwks(OTHER), tmp_path).organizations == "queue"


BAD_FILES: list[Any] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    {},
    {"keys": []},
    {"keys": {}},
    {"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]},
    {"keys": [{name: value for name, value in signing_key(ANCHOR).public_jwk().items() if name != "kid"}]},
    {"keys": [signing_key(ANCHOR).public_jwk()] * 2},
    b'{"keys":[],"keys":[]}',
    b" " * 100_000,
]


@pytest.mark.parametrize("document", BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_file_that_is_no_key_set_is_refused_and_nothing_is_stored(document: Any, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--jwks"):
        accept(ANCHOR, document, tmp_path)
    assert not TrustAnchorRecord.objects.exists()
    assert not AuditEvent.objects.filter(event__startswith="trust_anchor").exists()


@pytest.mark.spec("FED-JOS-04")
def test_a_private_key_in_the_file_is_refused_and_stored_nowhere(tmp_path: Path) -> None:
    secret = signing_key(ANCHOR).to_private_jwk()
    with pytest.raises(CommandError, match="leaked") as caught:
        accept(ANCHOR, {"keys": [secret]}, tmp_path)
    assert secret["d"] not in str(caught.value)
    assert not TrustAnchorRecord.objects.exists()


def test_members_that_are_no_part_of_a_key_are_not_stored(tmp_path: Path) -> None:
    row = accept(ANCHOR, {"keys": [{**signing_key(ANCHOR).public_jwk(), "note": "x" * 1000}], "more": 1}, tmp_path)
    assert row.jwks == jwks(ANCHOR)


@pytest.mark.parametrize(
    "entity_id", ["anchor", "http://anchor.example", "https://anchor.example?x", "https://anchor.example#x", "https://127.0.0.1", ""]
)
def test_an_anchor_has_an_entity_identifier(entity_id: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="ENTITY_ID"):
        accept(entity_id, jwks(ANCHOR), tmp_path)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        call_command("add_trust_anchor", ANCHOR, "--jwks", str(tmp_path / "missing.json"))


# Explaining


@pytest.mark.usefixtures("accepted")
def test_a_trusted_entity_is_explained_step_by_step_with_ticks_and_exit_status_0(
    federation: SimulatedFederation, fetcher: InMemoryFetcher
) -> None:
    federation.entities[INTERMEDIATE].subordinates[LEAF] = {
        "metadata_policy": {"openid_relying_party": {"response_types": {"subset_of": ["none"]}}}
    }
    status, out = resolve(LEAF)
    lines = out.splitlines()
    assert status == 0
    assert [line[0] for line in lines[:13]] == ["✓"] * 10 + ["·", "·", "✓"]
    assert f"{LEAF}   valid until 20" in out
    assert f"   └─ {INTERMEDIATE}" in out
    assert any(line.startswith(f"      └─ {ANCHOR}   valid until 20") and line.endswith("(trust anchor)") for line in lines)
    assert "openid_relying_party.response_types: declared ['code'], resolved []" in out
    assert f"subset_of, by {INTERMEDIATE}" in out
    assert "The whole chain is valid until" in out
    assert "5 fetches, 5 signature checks." in out
    assert all(request.past_caches for request in fetcher.requests)


@pytest.mark.usefixtures("accepted", "fetcher")
@pytest.mark.parametrize(
    ("fault", "step", "fixer"),
    [
        (Fault.NOT_FOUND, StepNumber.FETCH_STATEMENT, "the federation operator"),
        (Fault.TIMEOUT, StepNumber.FETCH_STATEMENT, "try again later"),
        (Fault.EXPIRED, StepNumber.VERIFY_STATEMENT, "the superior"),
    ],
)
def test_a_failure_has_one_cross_at_its_step_and_exit_status_1(
    federation: SimulatedFederation, fault: Fault, step: StepNumber, fixer: str
) -> None:
    federation.entities[INTERMEDIATE].statement_fault = fault
    status, out = resolve(LEAF)
    lines = [line for line in out.splitlines() if line[:1] in ("✓", "✗", "·")]
    assert status == 1
    assert [line[0] for line in lines] == ["✓"] * (step - 1) + ["✗"] + ["·"] * (13 - step)
    assert f"entity    {INTERMEDIATE}" in out
    assert fixer in out
    assert f"{LEAF} > {INTERMEDIATE}" in out
    assert "valid until" not in out


@pytest.mark.usefixtures("accepted", "fetcher")
def test_json_says_the_same_and_holds_the_statements_to_replay_it(federation: SimulatedFederation, tmp_path: Path) -> None:
    status, out = resolve(LEAF, "--json")
    found = json.loads(out)
    assert (status, found["ok"], found["entity_id"], found["trust_anchor"]) == (0, True, LEAF, ANCHOR)
    assert found["entities"] == [LEAF, INTERMEDIATE, ANCHOR]
    assert [step["number"] for step in found["steps"]] == list(range(1, 14))
    assert found["metadata"] == found["declared_metadata"]
    assert found["expires_at"] > found["time"]
    chain = tmp_path / "chain.json"
    chain.write_text(json.dumps(found["statements"]))
    again = json.loads(resolve(LEAF, "--json", "--from-file", str(chain))[1])
    assert (again["ok"], again["metadata"], again["fetches"]) == (True, found["metadata"], 0)
    federation.entities[INTERMEDIATE].statement_fault = Fault.EXPIRED
    status, out = resolve(LEAF, "--json")
    failed = json.loads(out)
    assert (status, failed["ok"], failed["metadata"], failed["statements"]) == (1, False, None, [])
    failure = next(step["failure"] for step in failed["steps"] if step["failure"])
    assert (failure["error"], failure["class"], failure["entity"]) == ("invalid_trust_chain", "signed negative", INTERMEDIATE)
    assert failure["evidence"]["sub"] == LEAF


@pytest.mark.usefixtures("accepted")
@pytest.mark.spec("FED-SEC-03", "FED-TCV-17")
def test_a_chain_from_a_file_is_validated_without_any_fetch(
    federation: SimulatedFederation, fetcher: InMemoryFetcher, tmp_path: Path
) -> None:
    chain = [federation.configuration(LEAF), federation.statement(INTERMEDIATE, LEAF), federation.statement(ANCHOR, INTERMEDIATE)]
    file = tmp_path / "chain.json"
    file.write_text(json.dumps(chain))
    assert resolve(LEAF, "--from-file", str(file))[0] == 0
    with pytest.raises(CommandError, match="not about"):
        resolve(OTHER, "--from-file", str(file))
    file.write_text(json.dumps(chain[::-1]))
    status, out = resolve(LEAF, "--from-file", str(file))
    assert (status, "✗" in out) == (1, True)
    for broken in (b"{}", b"[1]", b"[", b"\xff", b'"a.b.c"'):
        file.write_bytes(broken)
        with pytest.raises(CommandError, match="--from-file"):
            resolve(LEAF, "--from-file", str(file))
    with pytest.raises(CommandError, match="No such file"):
        resolve(LEAF, "--from-file", str(tmp_path / "missing"))
    assert fetcher.total == 0


@pytest.mark.usefixtures("fetcher")
def test_only_an_accepted_anchor_can_be_asked_for(federation: SimulatedFederation, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=rf"^{OTHER} is no trust anchor that is accepted here"):
        call_command("resolve", LEAF, "--trust-anchor", OTHER)
    with pytest.raises(CommandError, match=r"^No trust anchor is accepted here"):
        resolve(LEAF)
    accept(ANCHOR, public(federation, ANCHOR), tmp_path)
    federation.add_authority(OTHER)
    with pytest.raises(CommandError, match=OTHER):
        resolve(LEAF, "--trust-anchor", OTHER)
    accept(OTHER, public(federation, OTHER), tmp_path)
    assert resolve(LEAF, "--trust-anchor", OTHER)[0] == 1
    assert resolve(LEAF, "--trust-anchor", ANCHOR)[0] == 0
    TrustAnchorRecord.objects.filter(entity_id=ANCHOR).update(is_enabled=False)
    assert resolve(LEAF)[0] == 1


@pytest.mark.usefixtures("accepted")
def test_what_is_no_entity_identifier_is_refused(fetcher: InMemoryFetcher) -> None:
    with pytest.raises(CommandError, match="ENTITY_ID"):
        resolve("http://leaf.example")
    assert fetcher.total == 0


@pytest.mark.usefixtures("accepted", "fetcher")
def test_foreign_names_cannot_steer_the_terminal_and_far_dates_are_shown(federation: SimulatedFederation) -> None:
    policy = {"openid_relying_party": {"\x1b[2Jname": {"value": "\x1b[31mred"}}}
    federation.entities[INTERMEDIATE].subordinates[LEAF] = {"metadata_policy": policy}
    for entity in federation.entities.values():
        entity.lifetime = 2**39
    status, out = resolve(LEAF)
    assert status == 0
    assert "\x1b" not in out
    assert "9999-12-31 23:59:59 UTC" in out


@pytest.mark.usefixtures("accepted", "fetcher")
def test_the_resolver_of_the_process_asks_the_database_twice_and_shares_its_statements(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        assert get_resolver().resolve(LEAF).ok
    with django_assert_num_queries(2):
        assert get_resolver(ANCHOR).resolve(LEAF).fetches == 0
    assert not get_resolver(OTHER).anchors


@pytest.mark.usefixtures("fetcher")
def test_anchors_are_preferred_in_their_order(federation: SimulatedFederation, tmp_path: Path) -> None:
    federation.add_authority(OTHER)
    for position, entity_id in enumerate((ANCHOR, OTHER)):
        accept(entity_id, public(federation, entity_id), tmp_path)
        TrustAnchorRecord.objects.filter(entity_id=entity_id).update(position=1 - position)
    assert list(get_resolver().anchors) == [OTHER, ANCHOR]


@pytest.mark.usefixtures("fetcher")
@pytest.mark.spec("FED-KEY-06")
def test_keys_that_an_anchor_announces_are_named_and_verify_nothing_until_they_are_pinned(
    federation: SimulatedFederation, accepted: TrustAnchorRecord, tmp_path: Path
) -> None:
    assert "not pinned" not in resolve(LEAF)[1]
    pinned, new = federation.entities[ANCHOR].keys[0], generate_private_key("ES256")
    federation.entities[ANCHOR].keys = [pinned, new]
    statement_cache.forget(ANCHOR)
    status, text = resolve(LEAF)
    assert status == 0
    assert f"announces keys that are not pinned here: {new.kid}." in text
    assert json.loads(resolve(LEAF, "--json")[1])["unpinned_anchor_keys"] == [new.kid]
    federation.entities[ANCHOR].keys = [new, pinned]
    statement_cache.forget(ANCHOR)
    assert resolve(LEAF)[0] == 1
    accept(ANCHOR, public(federation, ANCHOR), tmp_path)
    status, text = resolve(LEAF)
    assert status == 0
    assert "not pinned" not in text
