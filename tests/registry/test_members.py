"""Members and invitations of an organization (R10)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.errors import TransitionRefused
from registry.actors import job, person
from registry.members import accept_invitation, change_role, find_invitation, invite, remove_member, revoke_invitation
from registry.models import AuditEvent, Invitation, Membership, User
from registry.models.users import normalize_email
from tests.conftest import make_organization
from tests.registry.threads import together

pytestmark = pytest.mark.threat("R10")


def refusal(act):
    with pytest.raises(TransitionRefused) as caught:
        act()
    return caught.value.reason


@pytest.fixture
def invited(cast, now):
    return invite(cast.organization, cast.as_owner, email="New@Lighthouse.example", role="developer", now=now)


@pytest.fixture
def newcomer(cast):
    return User.objects.create_user("new@lighthouse.example")


def join(invited, user, now):
    return accept_invitation(invited.value, user, person(user), now=now)


def test_an_invitation_makes_a_member_once(invited, newcomer, cast, now):
    membership = join(invited, newcomer, now)
    assert (membership.organization, membership.user, membership.role) == (cast.organization, newcomer, "developer")
    assert find_invitation(invited.value, now) is None
    assert refusal(lambda: join(invited, newcomer, now)) == "gone"
    assert Membership.objects.filter(user=newcomer).count() == 1
    assert list(AuditEvent.objects.filter(event__startswith="member.").order_by("id").values_list("event", flat=True)) == [
        "member.invited", "member.joined",
    ]  # fmt: skip


@pytest.mark.threat("R05")
def test_the_link_is_stored_as_a_digest_and_shown_nowhere(invited):
    assert invited.value not in f"{invited!r}{invited.row!r}{Invitation.objects.values().get()}{list(AuditEvent.objects.values())}"
    assert len(invited.row.digest) == 64
    assert find_invitation(invited.row.digest, invited.row.created_at) is None


def test_an_invitation_is_for_the_address_it_was_sent_to(invited, cast, now):
    assert refusal(lambda: join(invited, cast.stranger, now)) == "address"
    assert find_invitation(invited.value, now) == invited.row
    assert not Membership.objects.filter(user=cast.stranger).exists()


@pytest.mark.parametrize("address", ["NEW@LIGHTHOUSE.EXAMPLE", " new@lighthouse.example ", "\uff4eew@lighthouse.example"])
def test_another_spelling_of_the_address_is_the_same_address(cast, newcomer, now, address):
    invited = invite(cast.organization, cast.as_owner, email=address, role="viewer", now=now)
    assert invited.row.email == "new@lighthouse.example"
    assert join(invited, newcomer, now).role == "viewer"


def test_an_invitation_ends_after_72_hours(invited, newcomer, now):
    end = now + timedelta(hours=72)
    assert find_invitation(invited.value, end - timedelta(seconds=1))
    assert find_invitation(invited.value, end) is None
    assert refusal(lambda: join(invited, newcomer, end)) == "gone"


def test_a_newer_invitation_of_an_address_revokes_the_older_one(invited, newcomer, cast, now):
    newer = invite(cast.organization, cast.as_owner, email="new@lighthouse.example", role="viewer", now=now)
    assert refusal(lambda: join(invited, newcomer, now)) == "gone"
    assert join(newer, newcomer, now).role == "viewer"


def test_a_withdrawn_invitation_is_gone(invited, newcomer, cast, now):
    assert refusal(lambda: revoke_invitation(invited.row, person(cast.developer), now=now)) == "permission"
    revoke_invitation(invited.row, cast.as_owner, now=now)
    revoke_invitation(invited.row, cast.as_owner, now=now)
    assert AuditEvent.objects.filter(event="member.invitation_revoked").count() == 1
    assert refusal(lambda: join(invited, newcomer, now)) == "gone"


@pytest.mark.parametrize("name", ["developer", "viewer", "stranger", "reviewer", "operator", "auditor"])
@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_only_an_owner_invites_and_changes_members(cast, now, name, role):
    actor = person(getattr(cast, name), staff=name in ("reviewer", "operator", "auditor"))
    before = AuditEvent.objects.count()
    assert refusal(lambda: invite(cast.organization, actor, email="x@example.org", role=role, now=now)) == "permission"
    other = Membership.objects.get(organization=cast.organization, user=cast.developer if name != "developer" else cast.viewer)
    assert refusal(lambda: change_role(other, role, actor)) == "permission"
    # A reviewer may, and says why.
    assert refusal(lambda: remove_member(other, actor)) == ("reason_missing" if name == "reviewer" else "permission")
    assert AuditEvent.objects.count() == before
    assert not Invitation.objects.exists()


def test_a_reviewer_takes_away_and_the_partner_reads_why(cast, now):
    invited = invite(cast.organization, cast.as_owner, email="x@example.org", role="viewer", now=now).row
    member = Membership.objects.get(organization=cast.organization, user=cast.viewer)
    owner = Membership.objects.get(organization=cast.organization, user=cast.owner)
    assert refusal(lambda: revoke_invitation(invited, cast.as_reviewer, now=now)) == "reason_missing"
    assert refusal(lambda: remove_member(owner, cast.as_reviewer, reason="Because.")) == "last_owner"
    revoke_invitation(invited, cast.as_reviewer, now=now, reason="A wrong address.")
    remove_member(member, cast.as_reviewer, reason="Left the company.")
    events = AuditEvent.objects.filter(event__in=("member.invitation_revoked", "member.removed")).order_by("id")
    assert [(event.actor_kind, event.reason, event.organization) for event in events] == [
        ("staff", "A wrong address.", cast.organization),
        ("staff", "Left the company.", cast.organization),
    ]


@pytest.mark.parametrize("role", ["reviewer", "system", "operator", "administrator", "", "OWNER"])
def test_no_role_is_given_that_members_do_not_have(cast, now, role):
    assert refusal(lambda: invite(cast.organization, cast.as_owner, email="x@example.org", role=role, now=now)) == "role"
    membership = Membership.objects.get(user=cast.developer)
    assert refusal(lambda: change_role(membership, role, cast.as_owner)) == "role"


@pytest.mark.parametrize("role", ["reviewer", "system", "operator"])
def test_a_row_with_a_role_that_members_do_not_have_gives_no_power(cast, role):
    Membership.objects.filter(user=cast.developer).update(role=role)
    assert not person(cast.developer).has_role(cast.organization, "reviewer", "system", "operator")


def test_nobody_promotes_themselves(cast):
    for name in ("developer", "viewer"):
        user = getattr(cast, name)
        assert refusal(lambda user=user: change_role(Membership.objects.get(user=user), "owner", person(user))) == "permission"


@pytest.mark.parametrize("way", ["demoted", "removed", "deleted"])
def test_an_invitation_ends_with_the_ownership_of_who_sent_it(invited, newcomer, cast, now, way):
    membership = Membership.objects.get(user=cast.owner)
    change_role(Membership.objects.get(user=cast.viewer), "owner", cast.as_owner)
    if way == "demoted":
        change_role(membership, "developer", person(cast.viewer))
    elif way == "removed":
        remove_member(membership, person(cast.viewer))
    else:
        Invitation.objects.update(invited_by=None)
    assert refusal(lambda: join(invited, newcomer, now)) == "gone"


def test_an_invitation_of_one_organization_says_nothing_about_another(invited, newcomer, cast, now):
    tidewater = make_organization(cast.stranger, cast.reviewer, now, name="Tidewater")
    join(invited, newcomer, now)
    assert not person(newcomer).has_role(tidewater, "owner", "developer", "viewer")
    assert refusal(lambda: invite(tidewater, cast.as_owner, email="x@example.org", role="viewer", now=now)) == "permission"


def test_a_member_who_was_removed_does_not_come_back_by_the_old_link(invited, newcomer, cast, now):
    remove_member(join(invited, newcomer, now), cast.as_owner)
    assert refusal(lambda: join(invited, newcomer, now)) == "gone"


def test_an_invitation_never_changes_the_role_of_a_member(cast, now):
    with pytest.raises(TransitionRefused):
        invite(cast.organization, cast.as_owner, email=cast.owner.email, role="viewer", now=now)
    late = invite(cast.organization, cast.as_owner, email="late@lighthouse.example", role="owner", now=now)
    user = User.objects.create_user("late@lighthouse.example")
    Membership.objects.create(organization=cast.organization, user=user, role="viewer")
    assert join(late, user, now).role == "viewer"


def test_an_organization_keeps_an_owner(cast):
    membership = Membership.objects.get(user=cast.owner)
    assert refusal(lambda: remove_member(membership, cast.as_owner)) == "last_owner"
    assert refusal(lambda: change_role(membership, "developer", cast.as_owner)) == "last_owner"
    change_role(Membership.objects.get(user=cast.viewer), "owner", cast.as_owner)
    remove_member(membership, cast.as_owner)
    assert refusal(lambda: remove_member(Membership.objects.get(user=cast.viewer), person(cast.viewer))) == "last_owner"


def test_a_member_may_leave(cast):
    remove_member(Membership.objects.get(user=cast.viewer), person(cast.viewer))
    assert not Membership.objects.filter(user=cast.viewer).exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_people_accepting_at_once_one_joins(cast, invited, newcomer, now):
    outcomes = together(2, lambda _: join(invited, newcomer, now))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Membership", "TransitionRefused"]
    assert Membership.objects.filter(user=newcomer).count() == 1
    assert AuditEvent.objects.filter(event="member.joined").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_leaving_at_once_one_stays(cast):
    change_role(Membership.objects.get(user=cast.viewer), "owner", cast.as_owner)
    memberships = list(Membership.objects.filter(organization=cast.organization, role="owner"))
    together(2, lambda number: remove_member(memberships[number], person(memberships[number].user)))
    assert Membership.objects.filter(organization=cast.organization, role="owner").count() == 1


@example("\u0390@example.org")
@example("\u1e9e@\uff45xample.org ")
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_a_normalized_address_stays_as_it_is(address):
    once = normalize_email(address)
    assert normalize_email(once) == once


def test_one_address_is_one_user_however_it_is_spelled(db):
    from django.db import IntegrityError, transaction

    user = User.objects.create_user("Ada@Example.org")
    assert user.email == "ada@example.org"
    assert User.objects.get_by_natural_key(" ADA@EXAMPLE.ORG ") == user
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("\uff21da@example.org")


def test_staff_who_are_members_have_no_say_as_staff(cast):
    User.objects.filter(pk=cast.viewer.pk).update(staff_role="reviewer", is_superuser=True)
    viewer = User.objects.get(pk=cast.viewer.pk)
    assert not person(viewer, staff=True).has_role(cast.organization, "reviewer", "operator", "owner", "viewer")
    assert person(viewer).roles(cast.organization) == {"viewer"}
    assert job("x").roles(cast.organization) == {"system"}
