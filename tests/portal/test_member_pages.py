"""Members and invitations (threats.md R10)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from protocol.errors import TransitionRefused
from registry.actors import person
from registry.members import accept_invitation, change_role, invite
from registry.models import Invitation, Membership, Organization, User
from tests.conftest import Cast

pytestmark = pytest.mark.threat("R10")


@pytest.fixture
def newcomer(db: None) -> User:
    return User.objects.create_user("kai@lighthouse.example", name="Kai")


@pytest.fixture
def link(cast: Cast, owner: Browser, fill: Callable[..., Any], django_capture_on_commit_callbacks: Any) -> str:
    """The address in the mail of an invitation as developer."""
    url = reverse("organization_members", args=[cast.organization.slug])
    with django_capture_on_commit_callbacks(execute=True):
        fill(
            owner,
            url,
            "email",
            to=reverse("member_invite", args=[cast.organization.slug]),
            email="Kai@Lighthouse.Example",
            role="developer",
        )
    (message,) = mail.outbox
    assert message.to == ["kai@lighthouse.example"]
    match = re.search(r"/invite/\S+", message.body)
    assert match is not None
    return match[0]


def test_an_invited_person_joins_in_the_role_that_was_meant(cast: Cast, link: str, newcomer: User, sign_in: Callable[..., Browser]) -> None:
    browser = sign_in(newcomer)
    assertContains(browser.get(link), "Join Lighthouse Travel")
    assertRedirects(browser.post(link), reverse("organization", args=[cast.organization.slug]))
    assert cast.organization.memberships.get(user=newcomer).role == "developer"


def test_the_link_shows_itself_to_nobody_but_the_mail(cast: Cast, link: str, owner: Browser) -> None:
    token = link.rstrip("/").rpartition("/")[2]
    assertNotContains(owner.get(reverse("organization_members", args=[cast.organization.slug])), token)
    assertNotContains(owner.get(reverse("organization_activity", args=[cast.organization.slug])), token)
    assert not Invitation.objects.filter(digest=token).exists()


def test_a_visitor_is_asked_to_sign_in_and_comes_back(link: str) -> None:
    assertContains(Browser().get(link), f"/accounts/login/?next={link}")
    assert Browser().post(link)["Location"] == f"/accounts/login/?next={link}"


def test_only_the_invited_address_may_accept(cast: Cast, link: str, sign_in: Callable[..., Browser]) -> None:
    browser = sign_in("stranger")
    assertContains(browser.get(link), "Sign out, then sign in with the invited address.")
    assert browser.post(link).status_code == 409
    assert not Membership.objects.filter(user=cast.stranger).exists()


def test_a_link_works_once(cast: Cast, link: str, newcomer: User, sign_in: Callable[..., Browser], owner: Browser) -> None:
    browser = sign_in(newcomer)
    browser.post(link)
    membership = cast.organization.memberships.get(user=newcomer)
    owner.post(reverse("member_remove", args=[cast.organization.slug, membership.pk]))
    assert browser.post(link).status_code == 404
    assertContains(browser.get(link), "does not work any more", status_code=404)
    assert not cast.organization.memberships.filter(user=newcomer).exists()


def test_a_link_ends_after_72_hours(cast: Cast, newcomer: User, now: datetime) -> None:
    new = invite(cast.organization, cast.as_owner, email=newcomer.email, role="viewer", now=now)
    with pytest.raises(TransitionRefused) as refused:
        accept_invitation(new.value, newcomer, person(newcomer), now=now + timedelta(hours=72, seconds=1))
    assert refused.value.reason == "gone"


def test_a_link_dies_with_the_ownership_of_whoever_sent_it(cast: Cast, newcomer: User, now: datetime) -> None:
    other = Membership.objects.create(organization=cast.organization, user=cast.stranger, role="owner")
    new = invite(cast.organization, person(cast.stranger), email=newcomer.email, role="owner", now=now)
    change_role(other, "viewer", cast.as_owner)
    with pytest.raises(TransitionRefused):
        accept_invitation(new.value, newcomer, person(newcomer), now=now)


def test_an_invitation_never_raises_a_member_to_another_role(cast: Cast, newcomer: User, now: datetime) -> None:
    new = invite(cast.organization, cast.as_owner, email=newcomer.email, role="owner", now=now)
    Membership.objects.create(organization=cast.organization, user=newcomer, role="viewer")
    assert accept_invitation(new.value, newcomer, person(newcomer), now=now).role == "viewer"


def test_withdrawing_an_invitation_ends_its_link(
    cast: Cast, link: str, newcomer: User, owner: Browser, sign_in: Callable[..., Browser]
) -> None:
    row = Invitation.objects.get()
    assertContains(owner.post(reverse("invitation_revoke", args=[cast.organization.slug, row.pk]), follow=True), "Withdrew the invitation")
    assert sign_in(newcomer).post(link).status_code == 404


def test_an_invitation_of_another_organization_is_not_found(cast: Cast, foreign: Organization, owner: Browser, now: datetime) -> None:
    row = invite(foreign, person(cast.stranger), email="x@tidewater.example", role="viewer", now=now).row
    assert owner.post(reverse("invitation_revoke", args=[cast.organization.slug, row.pk])).status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None


@pytest.mark.parametrize("spelling", ["ＫＡＩ@lighthouse.example", "KAI@LIGHTHOUSE.EXAMPLE", "\u212aai@lighthouse.example"])
def test_an_address_has_one_spelling(cast: Cast, newcomer: User, now: datetime, spelling: str) -> None:
    new = invite(cast.organization, cast.as_owner, email=spelling, role="viewer", now=now)
    assert new.row.email == newcomer.email


@pytest.mark.parametrize("who", ["developer", "viewer"])
def test_only_an_owner_invites_and_nobody_raises_themself(cast: Cast, sign_in: Callable[..., Browser], who: str) -> None:
    browser, slug = sign_in(who), cast.organization.slug
    data = {"once": "n" * 20, "email": "x@lighthouse.example", "role": "owner"}
    assert browser.post(reverse("member_invite", args=[slug]), data).status_code == 403
    own = cast.organization.memberships.get(user=getattr(cast, who))
    assert browser.post(reverse("member_role", args=[slug, own.pk]), {"role": "owner"}).status_code == 403
    own.refresh_from_db()
    assert own.role == who
    assert not Invitation.objects.exists()


def test_an_unknown_role_is_refused_by_page_and_service(cast: Cast, owner: Browser) -> None:
    member = cast.organization.memberships.get(user=cast.viewer)
    assert owner.post(reverse("member_role", args=[cast.organization.slug, member.pk]), {"role": "root"}).status_code == 404
    with pytest.raises(TransitionRefused):
        change_role(member, "root", cast.as_owner)


def test_the_last_owner_stays(cast: Cast, owner: Browser) -> None:
    own = cast.organization.memberships.get(user=cast.owner)
    response = owner.post(reverse("member_remove", args=[cast.organization.slug, own.pk]), follow=True)
    assertContains(response, "An organization keeps at least one owner.")
    response = owner.post(reverse("member_role", args=[cast.organization.slug, own.pk]), {"role": "viewer"}, follow=True)
    assertContains(response, "An organization keeps at least one owner.")


def test_a_member_may_leave(cast: Cast, viewer: Browser) -> None:
    own = cast.organization.memberships.get(user=cast.viewer)
    assertRedirects(viewer.post(reverse("member_remove", args=[cast.organization.slug, own.pk])), reverse("organizations"))
    assert viewer.get(reverse("organization", args=[cast.organization.slug])).status_code == 404


def test_a_lone_owner_is_told_to_find_a_second(cast: Cast, foreign: Organization, sign_in: Callable[..., Browser]) -> None:
    assertContains(sign_in("stranger").get(reverse("organization_members", args=[foreign.slug])), "You are alone")
