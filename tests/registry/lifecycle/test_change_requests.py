"""Going live and sensitive edits: a colleague approves exactly what was reviewed, or nothing happens (R11)."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import job, person
from registry.entitlements import entitled_scopes
from registry.lifecycle import (
    approve_change,
    assign_change,
    change_client,
    change_organization,
    decide_change,
    register_client,
    request_go_live,
    update_client,
)
from registry.models import AuditEvent, ChangeRequest, Client, Membership, PolicyRecord, Scope, User
from registry.sensitivity import reasons_for_review
from tests.registry.support import REDIRECT, jwks, machine, read, website
from tests.registry.threads import together


def refusal(act):
    with pytest.raises(TransitionRefused) as caught:
        act()
    return caught.value.reason


@pytest.fixture
def app(cast, now):
    return register_client(cast.as_owner, cast.organization, website(scope="bookings.read bookings.write"), now=now)


@pytest.fixture
def live(app, cast, now):
    request = request_go_live(app, cast.as_owner, now=now)
    approve_change(request, cast.as_reviewer, digest=request.digest, now=now)
    app.refresh_from_db()
    return app


WIDER = website(scope="bookings.read bookings.write", redirect_uris=[REDIRECT, "https://new.example/cb"])


@pytest.fixture
def change(live, cast, now):
    return update_client(live, cast.as_owner, WIDER, now=now).change_request


@pytest.mark.threat("R11", "R12")
def test_going_live_takes_a_colleague_and_grants_the_scopes(app, cast, now):
    assert entitled_scopes(app, now) == {"bookings.read"}
    request = request_go_live(app, cast.as_owner, now=now, justification="Ready.")
    app.refresh_from_db()
    assert app.stage == "test"
    approve_change(request, cast.as_reviewer, digest=request.digest, now=now)
    app.refresh_from_db()
    request.refresh_from_db()
    assert (app.stage, request.state, request.decided_by) == ("live", "approved", cast.reviewer)
    assert entitled_scopes(app, now) == {"bookings.read", "bookings.write"}
    assert AuditEvent.objects.first().event == "change.approved"


@pytest.mark.threat("R12")
@pytest.mark.parametrize("name", ["developer", "viewer", "stranger", "reviewer", "operator", "auditor"])
def test_only_an_owner_asks_to_go_live(app, cast, now, name):
    actor = person(getattr(cast, name), staff=name in ("reviewer", "operator", "auditor"))
    assert refusal(lambda: request_go_live(app, actor, now=now)) == "permission"


@pytest.mark.threat("R11", "R12")
@pytest.mark.parametrize("name", ["owner", "developer", "viewer", "stranger", "operator", "auditor"])
def test_only_a_reviewer_approves(app, cast, now, name):
    request = request_go_live(app, cast.as_owner, now=now)
    for staff in (True, False):
        actor = person(getattr(cast, name), staff=staff)
        assert refusal(lambda actor=actor: approve_change(request, actor, digest=request.digest, now=now)) == "permission"
    app.refresh_from_db()
    assert app.stage == "test"


@pytest.mark.threat("R11", "R12")
def test_nobody_approves_what_they_submitted_or_their_own_organization(app, cast, now):
    request = request_go_live(app, cast.as_owner, now=now)
    # The submitter becomes staff and leaves the organization: still not theirs to approve.
    Membership.objects.create(organization=cast.organization, user=cast.stranger, role="owner")
    User.objects.filter(pk=cast.owner.pk).update(staff_role="reviewer")
    owner = User.objects.get(pk=cast.owner.pk)
    assert refusal(lambda: approve_change(request, person(owner, staff=True), digest=request.digest, now=now)) == "permission"
    Membership.objects.filter(user=owner).delete()
    for decide in (
        lambda: approve_change(request, person(owner, staff=True), digest=request.digest, now=now),
        lambda: assign_change(request, person(owner, staff=True)),
        lambda: decide_change(request, "reject", person(owner, staff=True), now=now, reason="x"),
    ):
        assert refusal(decide) == "own"


@pytest.mark.threat("R12")
def test_an_app_goes_live_only_when_it_is_active_and_its_organization_approved(app, live, cast, now):
    assert refusal(lambda: request_go_live(live, cast.as_owner, now=now)) == "state"
    other = register_client(cast.as_owner, cast.organization, website(), now=now)
    change_client(other, "pause", cast.as_owner, now=now)
    assert refusal(lambda: request_go_live(other, cast.as_owner, now=now)) == "state"
    change_client(other, "resume", cast.as_owner, now=now)
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="x")
    assert refusal(lambda: request_go_live(other, cast.as_owner, now=now)) == "organization"


@pytest.mark.threat("R12", "R02")
def test_what_only_the_test_stage_allows_blocks_going_live(cast, now):
    app = register_client(cast.as_owner, cast.organization, website(redirect_uris=["http://127.0.0.1:8080/cb"]), now=now)
    with pytest.raises(MetadataRefused):
        request_go_live(app, cast.as_owner, now=now)
    PolicyRecord.objects.create(values={"live_token_endpoint_auth_methods": ["private_key_jwt"]})
    with pytest.raises(MetadataRefused):
        request_go_live(register_client(cast.as_owner, cast.organization, machine(), now=now), cast.as_owner, now=now)
    assert not ChangeRequest.objects.exists()


@pytest.mark.threat("R11")
@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_another_digest_than_the_reviewed_one_is_refused(change, cast, now, digest):
    assert refusal(lambda: approve_change(change, cast.as_reviewer, digest=digest, now=now)) == "changed"


@pytest.mark.threat("R11")
def test_a_request_whose_row_was_edited_after_the_review_is_refused(change, cast, now):
    ChangeRequest.objects.filter(pk=change.pk).update(metadata={**change.metadata, "redirect_uris": ["https://evil.example/cb"]})
    assert refusal(lambda: approve_change(change, cast.as_reviewer, digest=change.digest, now=now)) == "changed"
    # Not even with a digest to match, which the reviewer never saw.
    ChangeRequest.objects.filter(pk=change.pk).update(kind="go_live")
    assert refusal(lambda: approve_change(change, cast.as_reviewer, digest=change.digest, now=now)) == "changed"


@pytest.mark.threat("R11")
def test_an_edit_after_the_review_opens_a_new_request_and_the_old_approval_is_refused(change, live, cast, now):
    newer = update_client(live, cast.as_owner, {**WIDER, "redirect_uris": [REDIRECT, "https://evil.example/cb"]}, now=now).change_request
    assert refusal(lambda: approve_change(change, cast.as_reviewer, digest=change.digest, now=now)) == "state"
    assert refusal(lambda: approve_change(newer, cast.as_reviewer, digest=change.digest, now=now)) == "changed"
    change.refresh_from_db()
    live.refresh_from_db()
    assert (change.state, newer.state, live.registered_redirect_uris) == ("superseded", "open", [REDIRECT])


@pytest.mark.threat("R11")
def test_a_harmless_edit_meanwhile_supersedes_the_request_because_its_base_changed(change, live, cast, now):
    update_client(live, cast.as_owner, website(scope="bookings.read bookings.write", client_name="Renamed"), now=now)
    change.refresh_from_db()
    assert change.state == "superseded"
    # And where a client changed in another way, the base digest tells.
    ChangeRequest.objects.filter(pk=change.pk).update(state="open")
    assert refusal(lambda: approve_change(change, cast.as_reviewer, digest=change.digest, now=now)) == "changed"


@pytest.mark.threat("R11")
def test_a_change_of_the_rules_after_the_review_is_refused(change, cast, now):
    Scope.objects.filter(name="bookings.write").update(is_retired=True)
    assert refusal(lambda: approve_change(change, cast.as_reviewer, digest=change.digest, now=now)) == "changed"
    Scope.objects.filter(name="bookings.write").update(is_retired=False)
    PolicyRecord.objects.create(values={"redirect_uris_limit": 1})
    with pytest.raises(MetadataRefused):
        approve_change(change, cast.as_reviewer, digest=change.digest, now=now)
    PolicyRecord.objects.all().delete()
    assert approve_change(change, cast.as_reviewer, digest=change.digest, now=now).state == "approved"


@pytest.mark.threat("R11", "R12")
@pytest.mark.parametrize("end", ["suspend client", "close client", "suspend organization"])
def test_nothing_is_approved_for_a_client_or_organization_that_may_not_act(change, live, cast, now, end):
    if end == "suspend organization":
        change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="x")
    else:
        change_client(live, end.split()[0], cast.as_reviewer, now=now, reason="x")
    assert refusal(lambda: approve_change(change, cast.as_reviewer, digest=change.digest, now=now)) == "state"


@pytest.mark.threat("R11")
def test_an_approval_applies_exactly_the_reviewed_content_once(change, live, cast, now):
    approve_change(change, cast.as_reviewer, digest=change.digest, now=now)
    live.refresh_from_db()
    assert live.metadata == change.metadata
    assert refusal(lambda: approve_change(change, cast.as_reviewer, digest=change.digest, now=now)) == "state"
    assert refusal(lambda: decide_change(change, "withdraw", cast.as_owner, now=now)) == "state"


@pytest.mark.threat("R11")
def test_a_request_that_a_colleague_took_is_left_to_them(change, cast, now):
    colleague = person(User.objects.create_user("colleague@credence.example", staff_role="reviewer"), staff=True)
    assign_change(change, colleague)
    assert refusal(lambda: approve_change(change, cast.as_reviewer, digest=change.digest, now=now)) == "assigned"
    assert refusal(lambda: decide_change(change, "reject", cast.as_reviewer, now=now, reason="x")) == "assigned"
    assign_change(change, cast.as_reviewer)
    assert approve_change(change, cast.as_reviewer, digest=change.digest, now=now).state == "approved"


@pytest.mark.threat("R12")
@pytest.mark.parametrize("step", ["approve", "supersede", "assign", "unheard_of"])
def test_a_decision_is_never_an_approval_by_another_name(change, cast, now, step):
    with pytest.raises(ValueError, match=step):
        decide_change(change, step, cast.as_reviewer, now=now)
    change.refresh_from_db()
    assert change.state == "open"


@pytest.mark.parametrize(("step", "state"), [("send_back", "sent_back"), ("reject", "rejected"), ("withdraw", "withdrawn")])
def test_every_other_decision_leaves_the_client_as_it_is(change, live, cast, now, step, state):
    before = Client.objects.filter(pk=live.pk).values().get()
    actor = cast.as_owner if step == "withdraw" else cast.as_reviewer
    assert decide_change(change, step, actor, now=now, reason="Because.").state == state
    assert Client.objects.filter(pk=live.pk).values().get() == before


@pytest.mark.parametrize("step", ["send_back", "reject"])
def test_a_refusal_says_why(change, cast, now, step):
    assert refusal(lambda: decide_change(change, step, cast.as_reviewer, now=now, reason=" ")) == "reason_missing"


def test_a_client_has_one_open_request(change, live):
    with pytest.raises(IntegrityError), transaction.atomic():
        ChangeRequest.objects.create(client=live, kind="change", metadata={}, base_digest="", digest="")


def test_closing_a_client_supersedes_what_waits(change, live, cast, now):
    change_client(live, "close", cast.as_owner, now=now)
    change.refresh_from_db()
    assert change.state == "superseded"


@pytest.mark.threat("R11")
@pytest.mark.django_db(transaction=True)
def test_an_edit_and_an_approval_at_the_same_time_never_approve_what_was_not_reviewed(app, cast, now):
    for number in range(6):
        app = register_client(cast.as_owner, cast.organization, website(scope="bookings.read"), now=now)
        request = request_go_live(app, cast.as_owner, now=now)
        other = website(scope="bookings.read", client_name=f"Edit {number}", redirect_uris=["https://evil.example/cb"])
        acts = [
            lambda request=request: approve_change(request, cast.as_reviewer, digest=request.digest, now=now),
            lambda app=app, other=other: update_client(app, cast.as_owner, other, now=now),
        ]
        approval, edit = together(2, lambda index, acts=acts: acts[index]())
        app.refresh_from_db()
        request.refresh_from_db()
        if isinstance(approval, TransitionRefused):  # the edit came first, of an app that was still in test
            assert (request.state, app.stage, app.registered_redirect_uris) == ("superseded", "test", ["https://evil.example/cb"])
        else:  # the edit found a live app and waits for a review of its own
            assert (request.state, app.stage, app.metadata) == ("approved", "live", request.metadata)
            assert edit.change_request.state == "open"


@pytest.mark.threat("R11")
@pytest.mark.django_db(transaction=True)
def test_of_many_approvals_at_the_same_time_one_counts(app, cast, now):
    request = request_go_live(app, cast.as_owner, now=now)
    outcomes = together(5, lambda _: approve_change(request, cast.as_reviewer, digest=request.digest, now=now))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ChangeRequest", *["TransitionRefused"] * 4]
    assert AuditEvent.objects.filter(event="change.approved").count() == 1


SENSITIVE = [
    (website(redirect_uris=[REDIRECT, "https://new.example/cb"]), "new place: https://new.example"),
    (website(redirect_uris=["http://app.example.org/cb"]), "new place: http://app.example.org"),
    (website(scope="bookings.read bookings.write"), "more scopes: bookings.write"),
    (website(scope="bookings.read", grant_types=["authorization_code", "refresh_token"]), "new grant: refresh_token"),
    (website(scope="bookings.read", token_endpoint_auth_method="none"), "weaker way: none"),
    (website(scope="bookings.read", jwks_uri="https://keys.example/jwks"), "new place: https://keys.example"),
    (website(scope="bookings.read", application_type="native"), "application type"),
]
HARMLESS = [
    website(scope="bookings.read", client_name="Other"), website(client_name="Other"), website(scope="bookings.read",
    contacts=["a@example.org"]),
    website(scope="bookings.read", redirect_uris=[f"{REDIRECT}/other"]), website(scope="bookings.read", jwks=jwks()),
    website(scope="bookings.read", logo_uri="https://app.example.org/logo.png"),
    website(scope="bookings.read", token_endpoint_auth_method="private_key_jwt", jwks=jwks()),
]  # fmt: skip


@pytest.mark.threat("R12")
@pytest.mark.parametrize(("document", "words"), SENSITIVE)
def test_what_widens_a_live_app_is_reviewed(document, words):
    before, after = read(website(scope="bookings.read")).metadata, read(document).metadata
    assert any(words in reason for reason in reasons_for_review(before, after)), reasons_for_review(before, after)
    assert reasons_for_review(after, after) == ()


@pytest.mark.parametrize("document", HARMLESS)
def test_what_does_not_widen_a_live_app_is_not(document):
    assert reasons_for_review(read(website(scope="bookings.read")).metadata, read(document).metadata) == ()


def test_a_harmless_edit_of_a_live_app_applies_at_once(live, cast, now):
    update = update_client(live, cast.as_owner, website(client_name="Other"), now=now)
    assert (update.change_request, update.reasons, update.client.name) == (None, (), "Other")


def test_a_job_may_approve_by_rule(change, now):
    assert approve_change(change, job("rule"), digest=change.digest, now=now).decided_by is None
