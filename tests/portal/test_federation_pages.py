"""The pages about federations: entities that an organization claims and proves, and the trust of the apps that came by them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from federation.checking import FORCED_CHECK_EVERY, Outcome, check_again, check_client
from federation.entity_claims import claim_entity, file_address
from federation.models import EntityClaim, FederationRecord, TrustAnchorRecord
from federation.simulator import Fault
from federation.trust_anchors import distrust
from federation.trust_report import Standing, describe_trust
from protocol.errors import TransitionRefused
from protocol.fetch import Page
from protocol.jose import issue_jwt
from registry.actors import job, person
from registry.lifecycle import change_client
from registry.models import AuditEvent, Client, Organization
from tests.conftest import Cast
from tests.federation.registration.conftest import lighthouse, server_keys, standard_scopes, world
from tests.federation.registration.support import HARBOUR, ISSUER, LIGHTHOUSE, NORTHLIGHT, RelyingParty, World, claim

__all__ = ["lighthouse", "server_keys", "standard_scopes", "world"]

HOSTILE = "https://evil.example/<script>alert(1)</script>\"'><img src=x>"


@pytest.fixture
def url(cast: Cast) -> str:
    """The federation page of the cast's organization."""
    return reverse("organization_federation", args=[cast.organization.slug])


@pytest.fixture
def register(cast: Cast, now: datetime) -> Callable[[RelyingParty], Client]:
    """Return a function that registers a relying party for the cast's organization, by its first request."""

    def make(party: RelyingParty) -> Client:
        claim(party.entity_id, cast.organization, now)
        assert party.push(request=party.request_object()).status_code == 201
        return party.client

    return make


@pytest.fixture
def app(lighthouse: RelyingParty, register: Callable[[RelyingParty], Client]) -> Client:
    """The app of Lighthouse, registered by its federation for the cast's organization."""
    return register(lighthouse)


@pytest.fixture
def claimed(lighthouse: RelyingParty, cast: Cast, now: datetime) -> EntityClaim:
    """A claim of Lighthouse that waits for its proof."""
    return claim_entity(cast.organization, LIGHTHOUSE, cast.as_owner, now=now)


def signed(row: EntityClaim, party: RelyingParty, **changes: Any) -> str:
    claims = {"iss": party.entity_id, "aud": ISSUER, "challenge": row.challenge, "exp": int(time.time()) + 60, **changes}
    return issue_jwt(claims, party.entity.keys[0], typ="entity-claim+jwt")


def text_of(response: Any) -> str:
    """Return what a page says, without markup."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def look(app: Client) -> Outcome:
    """Look at the federation of an app now."""
    record = FederationRecord.objects.select_related("client__organization").get(client=app)
    return check_client(record, now=datetime.now(tz=record.checked_at.tzinfo))


# The entities of an organization


def test_without_entities_the_page_says_how_registration_works_and_which_anchors_are_accepted(
    world: World, owner: Browser, viewer: Browser, url: str
) -> None:
    world.federation.add_authority("https://southlight.example")
    world.accept("https://southlight.example")
    TrustAnchorRecord.objects.filter(entity_id="https://southlight.example").update(is_enabled=False)
    for browser in (owner, viewer):
        words = text_of(browser.get(url))
        for expected in ("No entity claimed yet", "Automatic", "Explicit", f"{ISSUER}/federation/register", NORTHLIGHT):
            assert expected in words
        assert "southlight" not in words


def test_without_an_accepted_anchor_the_page_says_so(cast: Cast, owner: Browser, url: str) -> None:
    assertContains(owner.get(url), "This server accepts no trust anchor at present")


def test_the_navigation_leads_to_the_page(cast: Cast, viewer: Browser, url: str) -> None:
    assertContains(viewer.get(reverse("organization", args=[cast.organization.slug])), f'href="{url}"')
    assertContains(viewer.get(url), f'<a href="{url}" aria-current="page">')


def test_an_owner_claims_an_entity_and_sees_exactly_what_to_sign_and_where_to_put_the_file(
    cast: Cast, world: World, owner: Browser, fill: Callable[..., Any], url: str
) -> None:
    response = fill(owner, url, "entity_id", to=reverse("entity_claim", args=[cast.organization.slug]), entity_id=LIGHTHOUSE)
    assertRedirects(response, url)
    row = EntityClaim.objects.get(organization=cast.organization)
    assert row.claimed_by == cast.owner
    payload = json.loads(unescape(re.search(rf'<code id="payload-{row.pk}">([^<]+)</code>', response.content.decode())[1]))  # type: ignore[index]
    assert set(payload) == {"iss", "aud", "challenge", "exp"}
    assert (payload["iss"], payload["aud"], payload["challenge"]) == (LIGHTHOUSE, ISSUER, row.challenge)
    assertContains(response, "<code>entity-claim+jwt</code>")
    assertContains(response, file_address(row))
    assertContains(response, "<code>text/plain</code>")


def test_the_shown_payload_signed_as_it_is_proves_the_claim(
    cast: Cast, claimed: EntityClaim, lighthouse: RelyingParty, owner: Browser, fill: Callable[..., Any], url: str
) -> None:
    html = owner.get(url).content.decode()
    payload = json.loads(unescape(re.search(r'<code id="payload-[0-9]+">([^<]+)</code>', html)[1]))  # type: ignore[index]
    token = issue_jwt(payload, lighthouse.entity.keys[0], typ="entity-claim+jwt")
    field = f"claim-{claimed.pk}-token"
    response = fill(owner, url, field, to=reverse("entity_prove_by_signature", args=[cast.organization.slug, claimed.pk]), **{field: token})
    assertRedirects(response, url)
    assertContains(response, "is proven. It belongs to your organization here.")
    assertContains(response, "Verified")
    claimed.refresh_from_db()
    assert (claimed.proof, claimed.challenge) == ("signature", "")


@pytest.mark.parametrize("token", ["no JWT", "a.b.c", "é.ü.☃", "x" * 30_000, "", "\0"])
def test_what_is_no_signed_challenge_is_refused_at_its_field_and_kept(
    cast: Cast, claimed: EntityClaim, owner: Browser, url: str, token: str
) -> None:
    address, field = reverse("entity_prove_by_signature", args=[cast.organization.slug, claimed.pk]), f"claim-{claimed.pk}-token"
    response = owner.post(address, {field: token})
    assert response.status_code == 200
    form = next(row["form"] for row in response.context["claims"] if row["row"] == claimed)
    assert form.errors["token"]
    assert form["token"].value() == token
    claimed.refresh_from_db()
    assert claimed.proven_at is None


def test_a_file_with_the_challenge_proves_the_claim_and_another_one_leaves_the_reason_on_the_page(
    cast: Cast, claimed: EntityClaim, world: World, owner: Browser, url: str
) -> None:
    address = reverse("entity_prove_by_file", args=[cast.organization.slug, claimed.pk])
    world.fetcher.put(file_address(claimed), Page(b"something else", "text/plain"))
    assertContains(owner.post(address, follow=True), "it holds something else than the challenge", count=2)  # the answer, and at the claim
    assertContains(owner.get(url), "it holds something else than the challenge", count=1)
    world.fetcher.put(file_address(claimed), Page(claimed.challenge.encode(), "text/plain"))
    assertContains(owner.post(address, follow=True), "is proven. It belongs to your organization here.")
    assertContains(owner.post(address, follow=True), "This entity is proven already")


def test_an_identifier_that_is_none_is_refused_at_its_field(
    cast: Cast, world: World, owner: Browser, fill: Callable[..., Any], url: str
) -> None:
    address = reverse("entity_claim", args=[cast.organization.slug])
    for text in ("http://plain.example", "app.example.org", HOSTILE, "https://x.example/" + "a" * 5000):
        response = fill(owner, url, "entity_id", to=address, entity_id=text)
        assert response.status_code == 200
        assert "This is no entity identifier." in response.context["form"].errors["entity_id"][0]
        assert response.context["form"]["entity_id"].value() == text
    assert not EntityClaim.objects.exists()


@pytest.mark.threat("T10")
def test_an_entity_that_another_organization_has_proven_cannot_be_claimed(
    world: World, foreign: Organization, cast: Cast, owner: Browser, fill: Callable[..., Any], url: str, now: datetime
) -> None:
    claim(LIGHTHOUSE, foreign, now)
    response = fill(owner, url, "entity_id", to=reverse("entity_claim", args=[cast.organization.slug]), entity_id=LIGHTHOUSE)
    assertContains(response, "This entity belongs to another organization here.")
    assertNotContains(response, foreign.legal_name)


def test_posting_the_same_claim_twice_makes_one_challenge(
    cast: Cast, world: World, owner: Browser, form_on: Callable[..., dict[str, Any]], url: str
) -> None:
    data = {**form_on(owner.get(url), "entity_id"), "entity_id": LIGHTHOUSE}
    address = reverse("entity_claim", args=[cast.organization.slug])
    owner.post(address, data)
    challenge = EntityClaim.objects.get().challenge
    owner.post(address, data)
    assert EntityClaim.objects.get().challenge == challenge


def test_a_challenge_of_last_week_is_not_shown_any_more(claimed: EntityClaim, owner: Browser, url: str, now: datetime) -> None:
    EntityClaim.objects.update(challenged_at=now - timedelta(days=7))
    response = owner.get(url)
    assertContains(response, "Its challenge is over. Claim the entity again for a new one.")
    assertNotContains(response, claimed.challenge)


def test_an_owner_gives_an_entity_up_and_its_app_stays(cast: Cast, app: Client, owner: Browser, url: str) -> None:
    row = EntityClaim.objects.get(entity_id=LIGHTHOUSE)
    response = owner.post(reverse("entity_give_up", args=[cast.organization.slug, row.pk]), follow=True)
    assertContains(response, "Gave up")
    assert not EntityClaim.objects.exists()
    assert Client.objects.get(pk=app.pk).organization == cast.organization
    assertContains(response, reverse("app_trust", args=[cast.organization.slug, app.reference]))


def test_only_owners_see_and_use_the_forms(cast: Cast, claimed: EntityClaim, developer: Browser, viewer: Browser, url: str) -> None:
    place = [cast.organization.slug, claimed.pk]
    for browser in (developer, viewer):
        response = browser.get(url)
        assertContains(response, claimed.challenge)  # everybody here may read it; the file is public anyway
        assertNotContains(response, f'action="{reverse("entity_claim", args=place[:1])}"')
        assertNotContains(response, "Give up")
        assert browser.post(reverse("entity_claim", args=place[:1]), {"entity_id": LIGHTHOUSE}).status_code == 403
        for name in ("entity_prove_by_signature", "entity_prove_by_file", "entity_give_up"):
            assert browser.post(reverse(name, args=place)).status_code == 403
    claimed.refresh_from_db()
    assert claimed.failure == ""


def test_entities_of_another_organization_are_not_shown_and_cannot_be_reached(
    cast: Cast, world: World, foreign: Organization, owner: Browser, url: str, now: datetime
) -> None:
    row = claim("https://tidewater.example", foreign, now)
    assertNotContains(owner.get(url), "tidewater.example")
    for name in ("entity_prove_by_signature", "entity_prove_by_file", "entity_give_up"):
        assert owner.post(reverse(name, args=[cast.organization.slug, row.pk])).status_code == 404
    assert owner.get(reverse("organization_federation", args=[foreign.slug])).status_code == 404
    assert EntityClaim.objects.filter(pk=row.pk).exists()


def test_each_entity_names_its_app_and_each_app_its_chain(cast: Cast, app: Client, viewer: Browser, url: str) -> None:
    response = viewer.get(url)
    assertContains(response, reverse("app_trust", args=[cast.organization.slug, app.reference]), count=2)
    words = text_of(response)
    assert "By: Our staff" in words
    assert HARBOUR in words


# The trust of an app


@pytest.fixture
def trust_url(app: Client, app_url: Callable[..., str]) -> str:
    """The trust page of the app."""
    return app_url("app_trust", app)


def test_the_chain_stands_there_as_a_picture_and_as_a_list_with_the_end_of_every_statement(
    app: Client, lighthouse: RelyingParty, viewer: Browser, trust_url: str, now: datetime
) -> None:
    response = viewer.get(trust_url)
    report = response.context["report"]
    assert report.standing is Standing.VALID
    assert [hop.entity for hop in report.hops] == [LIGHTHOUSE, HARBOUR, NORTHLIGHT]
    assert [hop.about for hop in report.hops] == [LIGHTHOUSE, LIGHTHOUSE, HARBOUR]
    assert min(hop.valid_until for hop in report.hops) == app.trust_expires_at
    assertContains(response, '<svg class="chain', count=2)
    for number, hop in enumerate(report.hops, 1):
        assertContains(response, f'<a href="#hop-{number}"><title>{hop.entity}</title>', count=2)
        assertContains(response, f'<li id="hop-{number}">')
    assert text_of(response).count("Valid until") == 1
    assertNotContains(response, "What went wrong")


def test_the_picture_needs_no_style_and_no_script(viewer: Browser, trust_url: str) -> None:
    html = viewer.get(trust_url).content.decode()
    picture = html[html.index('<svg class="chain') : html.rindex("</svg>")]
    assert " style=" not in picture
    assert "<style" not in picture
    assert "<script" not in picture


def test_declared_federation_and_registered_values_stand_side_by_side_with_the_rule_that_changed_each(
    world: World, register: Callable[[RelyingParty], Client], viewer: Browser, app_url: Callable[..., str]
) -> None:
    party = world.add(contacts=["me@lighthouse.example"], backchannel_logout_uri=f"{LIGHTHOUSE}/logout")
    policy = {"openid_relying_party": {"contacts": {"value": ["ops@harbour.example"]}}}
    world.federation.entities[HARBOUR].subordinates[LIGHTHOUSE]["metadata_policy"] = policy
    rows = {row.member: row for row in viewer.get(app_url("app_trust", register(party))).context["rows"]}
    contacts, logout, scope = (rows[name] for name in ("contacts", "backchannel_logout_uri", "scope"))
    assert (contacts.declared, contacts.resolved, contacts.registered) == ("me@lighthouse.example", *["ops@harbour.example"] * 2)
    assert contacts.federation_rules == (f"Rule: value, by {HARBOUR}.",)
    assert (contacts.changed_by_federation, contacts.changed_here) == (True, False)
    assert (logout.resolved, logout.registered) == (f"{LIGHTHOUSE}/logout", "")
    assert logout.server_rules == ("backchannel_logout_uri is not used here; it was left out.",)
    assert (logout.changed_by_federation, logout.changed_here) == (False, True)
    assert scope.server_rules == ("The entity declares no scope; these are the default for entities of a federation.",)


def test_a_lost_membership_shows_the_step_who_can_fix_it_and_a_text_to_send(
    app: Client, lighthouse: RelyingParty, viewer: Browser, trust_url: str
) -> None:
    lighthouse.world.federation.expel(HARBOUR, LIGHTHOUSE)
    assert look(app) is Outcome.SUSPECT
    response = viewer.get(trust_url)
    failure = response.context["report"].failure
    assert (failure.step, failure.entity, failure.fixer, failure.code) == (5, HARBOUR, "the federation operator", "not_found")
    words = text_of(response)
    assert "Suspect: the app gets no tokens" in words
    assert "What to tell them" in words
    for part in (ISSUER, LIGHTHOUSE, HARBOUR, NORTHLIGHT, "Step 5", "no longer, a member", "not_found", "the federation operator"):
        assert part in failure.tell
    states = [step["state"] for step in response.context["steps"]]
    assert states == ["done"] * 4 + ["failed"] + ["skipped"] * 8
    assert [line.broken for line in response.context["pictures"][0].lines] == [True, False]
    assertContains(response, '<li id="hop-2" class="failed">')
    assertContains(response, "Trust in doubt; the app gets no tokens until a second look")


def test_without_an_answer_the_chain_is_stale_and_drawn_dashed(
    app: Client, lighthouse: RelyingParty, viewer: Browser, trust_url: str
) -> None:
    for entity in lighthouse.world.federation.entities.values():
        entity.fault = Fault.SERVER_ERROR
    assert look(app) is Outcome.STALE
    response = viewer.get(trust_url)
    assert response.context["report"].standing is Standing.STALE
    assertContains(response, "stroke-dasharray")
    assertContains(response, "whoever runs the host; if its name is right, try again later")
    assert "Who can fix it: whoever runs the host" in response.context["report"].failure.tell


def test_a_chain_in_its_last_tenth_expires_and_the_statement_that_ends_first_is_named(
    app: Client, viewer: Browser, trust_url: str, world: World
) -> None:
    end = app.trust_expires_at
    assert end is not None
    record = FederationRecord.objects.select_related("client").get(client=app)
    hop = describe_trust(record, end - timedelta(seconds=1)).first_to_end
    assert hop is not None
    assert hop.valid_until is not None
    assert hop.issued_at is not None
    last_part = (hop.valid_until - hop.issued_at) / 10
    for moment, expected in (
        (end - last_part - timedelta(seconds=1), Standing.VALID),
        (end - last_part + timedelta(seconds=1), Standing.EXPIRING),
        (end, Standing.EXPIRED),
    ):
        assert describe_trust(record, moment).standing is expected, moment
    Client.objects.filter(pk=app.pk).update(trust_expires_at=datetime.now(tz=end.tzinfo) + timedelta(seconds=30))
    words = text_of(viewer.get(trust_url))
    assert "Expiring: valid until" in words
    assert "ends first" in words


def test_trust_that_an_operator_ended_says_so_in_the_history(app: Client, viewer: Browser, trust_url: str, now: datetime) -> None:
    distrust(HARBOUR, job("test"), now=now, reason="Its keys leaked.")
    response = viewer.get(trust_url)
    words = text_of(response)
    assert "Broken: every token ended." in words
    assert "The history below says why." in words
    assert "Its keys leaked." in words
    assert response.context["steps"] == []


def test_trust_marks_are_shown_with_what_became_of_them(app: Client, viewer: Browser, trust_url: str) -> None:
    assertContains(viewer.get(trust_url), "carries no trust mark that this server has a rule about")
    mark = {"trust_mark_type": "https://marks.example/member", "issuer": "https://marks.example", "counts": True, "is_unsure": False}
    marks = [{**mark, "expires_at": 4_000_000_000, "sentence": "The trust mark is valid."}]
    marks += [{**mark, "counts": False, "expires_at": None, "sentence": "Its issuer says that it is revoked."}]
    FederationRecord.objects.update(trust_marks=marks)
    words = text_of(viewer.get(trust_url))
    for expected in ("The trust mark is valid.", "Does not count", "revoked", "does not end", "2096"):
        assert expected in words


def test_the_history_holds_what_happened_to_trust_and_nothing_else(
    cast: Cast, app: Client, viewer: Browser, trust_url: str, now: datetime
) -> None:
    change_client(app, "pause", cast.as_owner, now=now)
    events = [entry.sentence for entry in viewer.get(trust_url).context["events"]]
    assert [sentence.partition(":")[0] for sentence in events] == ["App registered"]


def test_an_app_that_came_another_way_gets_an_explanation_and_no_tab(
    make_client: Callable[..., Client], viewer: Browser, developer: Browser, app_url: Callable[..., str]
) -> None:
    client = make_client()
    assertContains(viewer.get(app_url("app_trust", client)), "This app did not come by a federation")
    assertNotContains(viewer.get(app_url("app", client)), app_url("app_trust", client))
    response = developer.post(app_url("app_trust_check", client), follow=True)
    assertContains(response, "there is no trust chain to check")


def test_the_page_of_a_federation_app_leads_to_its_trust_and_its_settings_say_where_to_change_it(
    app: Client, lighthouse: RelyingParty, developer: Browser, viewer: Browser, app_url: Callable[..., str], trust_url: str
) -> None:
    assertContains(viewer.get(app_url("app", app)), f'<a href="{trust_url}">Trust</a>')
    settings_page = developer.get(app_url("app_edit", app))
    assertContains(settings_page, "Change it in its entity configuration")
    assertContains(settings_page, f'<a href="{trust_url}">Open its trust</a>')
    Client.objects.filter(pk=app.pk).update(trust="broken")
    assertContains(viewer.get(app_url("app", app)), f'<a href="{trust_url}">Open its trust</a>')


def test_another_organization_does_not_find_the_trust_of_an_app(
    cast: Cast, app: Client, foreign: Organization, sign_in: Callable[..., Browser], owner: Browser
) -> None:
    stranger = sign_in("stranger")
    for slug in (cast.organization.slug, foreign.slug):
        assert stranger.get(reverse("app_trust", args=[slug, app.reference])).status_code == 404
        assert stranger.post(reverse("app_trust_check", args=[slug, app.reference])).status_code == 404
    assert owner.get(reverse("app_trust", args=[foreign.slug, app.reference])).status_code == 404


# Check again


def test_an_owner_and_a_developer_check_again_and_see_what_came_of_it(
    app: Client, lighthouse: RelyingParty, owner: Browser, developer: Browser, app_url: Callable[..., str], trust_url: str
) -> None:
    response = owner.post(app_url("app_trust_check", app), follow=True)
    assertRedirects(response, trust_url)
    assertContains(response, "Checked: the trust chain is confirmed, and nothing changed.")
    FederationRecord.objects.update(forced_at=None)
    lighthouse.metadata["client_name"] = "A new name"
    assertContains(developer.post(app_url("app_trust_check", app), follow=True), "and the registration was updated.")
    app.refresh_from_db()
    assert app.name == "A new name"
    FederationRecord.objects.update(forced_at=None)
    lighthouse.world.federation.expel(HARBOUR, LIGHTHOUSE)
    assertContains(developer.post(app_url("app_trust_check", app), follow=True), "the trust is in doubt and is looked at again soon.")


def test_a_viewer_has_no_button_and_no_right(
    app: Client, world: World, viewer: Browser, app_url: Callable[..., str], trust_url: str
) -> None:
    response = viewer.get(trust_url)
    assertNotContains(response, app_url("app_trust_check", app))
    assertContains(response, "An owner or a developer of your organization can have it checked now.")
    fetched = world.fetched(LIGHTHOUSE)
    assert viewer.post(app_url("app_trust_check", app)).status_code == 403
    assert world.fetched(LIGHTHOUSE) == fetched


def test_a_second_check_within_thirty_seconds_fetches_nothing(
    app: Client, world: World, owner: Browser, developer: Browser, app_url: Callable[..., str]
) -> None:
    owner.post(app_url("app_trust_check", app))
    fetched = world.fetched(LIGHTHOUSE)
    response = developer.post(app_url("app_trust_check", app), follow=True)
    assertContains(response, "It was checked less than 30 seconds ago")
    assert world.fetched(LIGHTHOUSE) == fetched


def test_the_service_refuses_whom_and_what_it_must(app: Client, cast: Cast, now: datetime, make_client: Callable[..., Client]) -> None:
    def reason(client: Client, who: Any, moment: datetime = now) -> str:
        with pytest.raises(TransitionRefused) as caught:
            check_again(client, who, now=moment)
        return caught.value.reason

    assert reason(app, person(cast.viewer)) == "permission"
    assert reason(app, person(cast.stranger)) == "permission"
    assert reason(app, person(cast.reviewer, staff=True)) == "permission"
    assert reason(make_client(), cast.as_owner) == "source"
    assert check_again(app, cast.as_owner, now=now) is Outcome.UNCHANGED
    assert reason(app, person(cast.developer), now + FORCED_CHECK_EVERY - timedelta(seconds=1)) == "wait"
    assert check_again(app, person(cast.operator, staff=True), now=now + FORCED_CHECK_EVERY) is Outcome.UNCHANGED
    closed = change_client(app, "close", cast.as_owner, now=now)
    assert reason(closed, cast.as_owner, now + timedelta(hours=1)) == "state"


def test_a_closed_app_is_not_offered_a_check(
    cast: Cast, app: Client, owner: Browser, app_url: Callable[..., str], trust_url: str, now: datetime
) -> None:
    change_client(app, "close", cast.as_owner, now=now)
    response = owner.get(trust_url)
    assertNotContains(response, app_url("app_trust_check", app))
    assert "none by itself" in text_of(response)


def test_the_time_of_a_failed_check_is_kept(app: Client, lighthouse: RelyingParty, viewer: Browser, trust_url: str) -> None:
    lighthouse.entity.fault = Fault.SERVER_ERROR
    before = int(time.time())
    look(app)
    report = viewer.get(trust_url).context["report"]
    assert report.checked_at.timestamp() >= before
    assert report.confirmed_at == lighthouse.record.checked_at


# Hostile words, and how much it costs


def test_hostile_names_are_text_on_both_pages(cast: Cast, app: Client, owner: Browser, url: str, trust_url: str, now: datetime) -> None:
    EntityClaim.objects.create(organization=cast.organization, entity_id=HOSTILE, challenge="x", challenged_at=now, failure=HOSTILE)
    TrustAnchorRecord.objects.update(entity_id=HOSTILE)
    mark = {"trust_mark_type": HOSTILE, "issuer": HOSTILE, "sentence": HOSTILE}
    FederationRecord.objects.update(
        entity_id=HOSTILE,
        superior=HOSTILE,
        anchor=HOSTILE,
        entities=[HOSTILE, "\"><a href='javascript:alert(1)'>"],
        statements=["no JWT", ""],
        failure={**dict.fromkeys(("title", "entity", "sentence", "fixer", "code"), HOSTILE), "step": 5},
        changes=[{"by": "federation", "member": "scope", "rule": HOSTILE, "set_by": [HOSTILE]}],
        trust_marks=[mark],
        resolved_metadata={HOSTILE: HOSTILE},
    )
    for address in (url, trust_url):
        html = owner.get(address).content.decode()
        assert "evil.example" in html
        for part in ("<script>alert", "<img src=x", "<a href='javascript", 'href="https://evil'):
            assert part not in html, (address, part)


def count(browser: Browser, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(url).status_code == 200
    return len(queries)


def test_both_pages_take_the_same_number_of_queries_for_much_as_for_little(
    cast: Cast,
    app: Client,
    world: World,
    register: Callable[[RelyingParty], Client],
    owner: Browser,
    url: str,
    trust_url: str,
    now: datetime,
) -> None:
    little = {address: count(owner, address) for address in (url, trust_url)}
    for number in range(4):
        register(world.add(f"https://more{number}.example"))
        claim_entity(cast.organization, f"https://waiting{number}.example", cast.as_owner, now=now)
        world.federation.add_authority(f"https://anchor{number}.example")
        world.accept(f"https://anchor{number}.example")
        FederationRecord.objects.filter(client=app).update(forced_at=None)
        look(app)
    assert {address: count(owner, address) for address in (url, trust_url)} == little
    assert max(little.values()) <= 9
    assert AuditEvent.objects.filter(organization=cast.organization).exists()
