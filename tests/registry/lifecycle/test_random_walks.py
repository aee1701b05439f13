"""Random walks through every transition, against the tables of portal.md 4.4 written down once more (R11, R12, R13).

After each step: it succeeded exactly when the tables allow it; a success wrote its audit rows and no more, a refusal wrote nothing;
the credential generation grew exactly when access had to end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import TransitionRefused
from registry.actors import job, person
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
from registry.models import AuditEvent, ChangeRequest, Client, Membership, Organization, User
from registry.transitions import CHANGE_REQUEST, CLIENT, ORGANIZATION
from tests.conftest import make_organization
from tests.registry.support import website

# name: sources, target, who, needs a reason
ORGANIZATION_STEPS = {
    "submit": ("draft changes_requested", "pending", "owner", False),
    "assign": ("pending", None, "reviewer other_reviewer", False),
    "request_changes": ("pending", "changes_requested", "reviewer other_reviewer", True),
    "approve": ("pending", "approved", "reviewer other_reviewer", False),
    "reject": ("pending", "rejected", "reviewer other_reviewer", True),
    "reopen": ("rejected", "draft", "owner reviewer other_reviewer", False),
    "withdraw": ("pending", "draft", "owner", False),
    "suspend": ("approved", "suspended", "reviewer other_reviewer", True),
    "reinstate": ("suspended", "approved", "reviewer other_reviewer", False),
    "close": ("draft approved suspended rejected", "closed", "owner reviewer other_reviewer", False),
}
CLIENT_STEPS = {
    "activate": ("draft", "active", "owner developer job", False),
    "suspend": ("active suspended", "suspended", "reviewer other_reviewer job", True),
    "pause": ("active", "suspended", "owner", False),
    "reinstate": ("suspended", "active", "reviewer other_reviewer", False),
    "resume": ("suspended", "active", "owner", False),
    "close": ("draft active suspended", "closed", "owner reviewer other_reviewer job", False),
}
# A reviewer who is a member of the organization has no say in it as staff.
ACTORS = ("owner", "developer", "viewer", "stranger", "reviewer", "other_reviewer", "member_reviewer", "operator", "auditor", "job")


@pytest.fixture
def actors(cast):
    other = User.objects.create_user("other@credence.example", staff_role="reviewer")
    return {
        **{name: person(getattr(cast, name)) for name in ("owner", "developer", "viewer", "stranger")},
        **{name: person(getattr(cast, name), staff=True) for name in ("reviewer", "operator", "auditor")},
        "other_reviewer": person(other, staff=True),
        "member_reviewer": person(User.objects.create_user("both@credence.example", staff_role="reviewer"), staff=True),
        "job": job("test"),
    }


def new_organization(cast, actors, now, *, approve):
    organization = make_organization(cast.owner, cast.reviewer, now, name="Walk", approve=approve)
    for user, role in ((cast.developer, "developer"), (cast.viewer, "viewer"), (actors["member_reviewer"].user, "developer")):
        Membership.objects.create(organization=organization, user=user, role=role)
    return organization


def events_after(last):
    return list(AuditEvent.objects.filter(id__gt=last).order_by("id").values_list("event", flat=True))


def last_event():
    return AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0


def run(step):
    """Return whether the step was done."""
    try:
        step()
    except TransitionRefused as error:
        refusals.add((error.reason, error.description))
        return False
    return True


refusals = set()


def test_the_tables_of_the_product_are_these():
    for ours, theirs in ((ORGANIZATION_STEPS, ORGANIZATION), (CLIENT_STEPS, CLIENT)):
        assert {name: (set(sources.split()), target, reason) for name, (sources, target, _, reason) in ours.items()} == {
            name: (set(step.sources), step.target, step.needs_reason) for name, step in theirs.items()
        }
    open_steps = {name: step.target for name, step in CHANGE_REQUEST.items() if step.sources == {"open"}}
    assert open_steps == {
        "assign": None, "approve": "approved", "send_back": "sent_back", "reject": "rejected", "withdraw": "withdrawn",
        "supersede": "superseded",
    }  # fmt: skip
    assert open_steps.keys() == CHANGE_REQUEST.keys()
    for table, states in ((ORGANIZATION, Organization.State), (CLIENT, Client.State), (CHANGE_REQUEST, ChangeRequest.State)):
        assert {state for step in table.values() for state in (*step.sources, step.target) if state} <= set(states.values)


# Three of four steps are sensible ones, so that walks come far.
def walks(steps, length=14):
    sensible = [(name, actor, True) for name, (_, _, who, _) in steps.items() for actor in who.split()]
    anything = st.tuples(st.sampled_from(sorted(steps)), st.sampled_from(ACTORS), st.booleans())
    one = st.one_of(st.sampled_from(sensible), st.sampled_from(sensible), st.sampled_from(sensible), anything)
    return st.lists(one, min_size=4, max_size=length)


@dataclass
class OrganizationModel:
    """What the tables say of an organization."""

    state: str = "draft"
    reviewer: str | None = None
    reopened: bool = False
    generation: int = 1

    def allows(self, step, actor, reason):
        sources, _, who, needs_reason = ORGANIZATION_STEPS[step]
        return (
            self.state in sources.split()
            and actor in who.split()
            and (reason or not needs_reason)
            and not (step in ("request_changes", "approve", "reject") and self.reviewer not in (None, actor))
            and not (step == "reopen" and actor == "owner" and self.reopened)
            and not (step == "close" and actor == "owner")  # it has a live app
        )

    def take(self, step, actor):
        self.state = ORGANIZATION_STEPS[step][1] or self.state
        self.reviewer = {"submit": None, "assign": actor}.get(step, self.reviewer)
        self.reopened |= step == "reopen" and actor == "owner"
        self.generation += step in ("suspend", "close")


@pytest.mark.threat("R12", "R13")
@settings(max_examples=25)
@given(walk=walks(ORGANIZATION_STEPS))
def test_no_walk_leads_an_organization_where_the_tables_do_not(cast, actors, now, walk):
    with transaction.atomic():
        organization = new_organization(cast, actors, now, approve=False)
        stages = ("test", "live")
        clients = [register_client(actors["job"], organization, website(), now=now, stage=stage) for stage in stages]
        model = OrganizationModel()
        for step, actor, has_reason in walk:
            allowed, last = model.allows(step, actor, has_reason), last_event()
            reason = "Because." if has_reason else "  "

            def act(step=step, actor=actor, reason=reason):
                change_organization(organization, step, actors[actor], now=now, reason=reason)

            assert run(act) == allowed, (step, actor, model)
            if allowed:
                model.take(step, actor)
            assert events_after(last) == ([ORGANIZATION[step].event] if allowed else [])
            organization.refresh_from_db()
            assert organization.state == model.state
            rows = Client.objects.filter(pk__in=[client.pk for client in clients])
            assert set(rows.values_list("state", "credential_generation")) == {("active", model.generation)}
        transaction.set_rollback(True)


@dataclass(frozen=True)
class ClientModel:
    """What the tables say of a client, its open change request and its organization."""

    state: str = "draft"
    stage: str = "test"
    paused: bool = False
    generation: int = 1
    suspended_organization: bool = False
    request: str | None = None
    reviewer: str | None = None

    def after(self, step, actor, has_reason):  # noqa: PLR0911 - one return for each kind of step
        """Return the model after the step and the events of it, or None when it is refused."""
        superseded = ["change.superseded"] if self.request else []
        if step in CLIENT_STEPS:
            return self._after_transition(step, actor, has_reason, superseded)
        active = self.state == "active" and not self.suspended_organization
        is_reviewer = actor in ("reviewer", "other_reviewer")
        if step in ("edit", "widen"):
            if self.state == "closed" or actor not in ("owner", "developer", "job"):
                return None
            if step == "widen" and self.stage == "live":
                return replace(self, request="change", reviewer=None), [*superseded, "change.requested"]
            return replace(self, request=None, reviewer=None), [*superseded, "client.updated"]
        if step == "go_live":
            allowed = active and self.stage == "test" and actor == "owner"
            return (replace(self, request="go_live", reviewer=None), [*superseded, "change.requested"]) if allowed else None
        if step.startswith("organization "):
            suspends = step == "organization suspend"
            if suspends == self.suspended_organization:
                return None
            following = replace(self, suspended_organization=suspends, generation=self.generation + suspends)
            return following, ["org.suspended" if suspends else "org.reinstated"]
        return self._after_decision(step, actor, has_reason, active=active, is_reviewer=is_reviewer)

    def _after_transition(self, step, actor, has_reason, superseded):
        sources, target, who, needs_reason = CLIENT_STEPS[step]
        refused = (
            self.state not in sources.split()
            or actor not in who.split()
            or (needs_reason and not has_reason)
            or (step == "activate" and self.suspended_organization)
            or (step == "suspend" and self.state == "suspended" and not self.paused)
            or (step == "reinstate" and self.paused)
            or (step == "resume" and not self.paused)
        )
        if refused:
            return None
        following = replace(self, state=target, paused=step == "pause", generation=self.generation + (self.state == "active"))
        if step == "close":
            return replace(following, request=None, reviewer=None), [*superseded, CLIENT[step].event]
        return following, [CLIENT[step].event]

    def _after_decision(self, step, actor, has_reason, *, active, is_reviewer):  # noqa: PLR0911
        if self.request is None:
            return None
        if step == "withdraw":
            return (replace(self, request=None, reviewer=None), ["change.withdrawn"]) if actor == "owner" else None
        if step == "assign":
            return (replace(self, reviewer=actor), ["change.assigned"]) if is_reviewer else None
        if is_reviewer and self.reviewer not in (None, actor):
            return None
        if step == "approve":
            if not active or not (is_reviewer or actor == "job"):
                return None
            events = (["client.updated"] if self.request == "change" else []) + ["change.approved"]
            return replace(self, request=None, reviewer=None, stage="live"), events
        allowed = is_reviewer and has_reason
        return (
            (replace(self, request=None, reviewer=None), [f"change.{'sent_back' if step == 'send_back' else 'rejected'}"])
            if allowed
            else None
        )


OTHER_STEPS = {
    "edit": "owner developer job", "widen": "owner developer job", "go_live": "owner", "approve": "reviewer job", "assign": "reviewer",
    "send_back": "reviewer", "reject": "reviewer", "withdraw": "owner", "organization suspend": "reviewer",
    "organization reinstate": "reviewer",
}  # fmt: skip
ALL_STEPS = {**CLIENT_STEPS, **{name: (None, None, who, None) for name, who in OTHER_STEPS.items()}}


class Walker:
    """Takes the steps of a walk with the real services."""

    def __init__(self, client, actors, now):
        self.client, self.actors, self.now, self.edits = client, actors, now, 0

    def take(self, step, actor, reason):
        by = self.actors[actor]
        if step in CLIENT_STEPS:
            change_client(self.client, step, by, now=self.now, reason=reason)
        elif step in ("edit", "widen"):
            self.edits += 1
            uris = [f"https://host{self.edits}.example.org/cb"] if step == "widen" else self.client.registered_redirect_uris
            update_client(self.client, by, website(redirect_uris=uris, client_name=f"Edit {self.edits}"), now=self.now)
        elif step == "go_live":
            request_go_live(self.client, by, now=self.now)
        elif step.startswith("organization "):
            change_organization(self.client.organization, step.split()[1], self.actors["reviewer"], now=self.now, reason="Because.")
        else:
            self.decide(step, by, reason)

    def decide(self, step, by, reason):
        request = self.client.change_requests.order_by("-id").first()
        if request is None:
            raise TransitionRefused("nothing", "There is nothing to decide.")
        if step == "assign":
            assign_change(request, by)
        elif step == "approve":
            approve_change(request, by, digest=request.digest, now=self.now, reason=reason)
        else:
            decide_change(request, step, by, now=self.now, reason=reason)


@pytest.mark.threat("R11", "R12", "R13")
@settings(max_examples=30)
@given(walk=walks(ALL_STEPS, length=20))
def test_no_walk_leads_a_client_where_the_tables_do_not(cast, actors, now, walk):
    with transaction.atomic():
        organization = new_organization(cast, actors, now, approve=True)
        client = register_client(actors["reviewer"], organization, website(), now=now, offer_to_owner=True)
        model, walker = ClientModel(), Walker(client, actors, now)
        for step, actor, has_reason in [("activate", "owner", True), *walk]:
            expected, last = model.after(step, actor, has_reason), last_event()
            done = run(lambda step=step, actor=actor, reason="Because." if has_reason else "": walker.take(step, actor, reason))
            assert done == (expected is not None), (step, actor, model)
            events = events_after(last)
            if expected is None:
                assert events == []
            else:
                assert expected[0].generation >= model.generation
                model, expected_events = expected
                assert events == expected_events
            client.refresh_from_db()
            client.organization.refresh_from_db()
            assert (client.state, client.stage, client.paused_by_owner, client.credential_generation) == (
                model.state, model.stage, model.paused, model.generation,
            )  # fmt: skip
            assert list(client.change_requests.filter(state="open").values_list("kind", flat=True)) == [model.request] * bool(model.request)
            assert client.trust == Client.Trust.NONE
        transaction.set_rollback(True)


def test_every_refusal_has_a_reason_and_a_sentence():
    # Runs after the walks and looks at what they met.
    for reason, sentence in refusals:
        assert reason.isidentifier()
        assert sentence.endswith(".")
