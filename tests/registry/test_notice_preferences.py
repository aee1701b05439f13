"""Which mails a person wants: switched off is not mailed, the inbox has it all the same, and security is always mailed."""

from __future__ import annotations

from datetime import datetime

import pytest

from protocol.errors import TransitionRefused
from registry.lifecycle import change_organization
from registry.models import Contact, MutedNotices, Notice
from registry.notice_kinds import Group
from registry.notice_preferences import MUTABLE, groups_for, muted_groups, set_muted_groups
from registry.notice_recipients import find_recipients
from registry.notices import record_news
from tests.conftest import Cast


def notice_of(cast: Cast, event: str) -> Notice:
    row = record_news(cast.as_owner, event, cast.organization, cast.organization)
    return Notice.objects.select_related("event__organization", "person").get(event=row)


def test_what_is_muted_is_not_mailed_and_stands_in_the_inbox(cast: Cast) -> None:
    set_muted_groups(cast.owner, [Group.REVIEWS])
    (recipient,) = find_recipients(notice_of(cast, "org.approved"))
    assert (recipient.user, recipient.wants_mail) == (cast.owner, False)
    set_muted_groups(cast.owner, [])
    (recipient,) = find_recipients(notice_of(cast, "org.rejected"))
    assert recipient.wants_mail


@pytest.mark.parametrize("group", [Group.SECURITY, "", "reviews\x00", "x" * 5000])
def test_security_and_what_does_not_exist_cannot_be_muted(cast: Cast, group: str) -> None:
    with pytest.raises(TransitionRefused):
        set_muted_groups(cast.owner, [Group.TRUST, group])
    assert muted_groups(cast.owner) == frozenset()


def test_a_row_about_security_that_got_there_mutes_nothing(cast: Cast, now: datetime) -> None:
    MutedNotices.objects.create(user=cast.owner, kind=Group.SECURITY)
    change_organization(cast.organization, "suspend", cast.as_reviewer, now=now, reason="Abuse.")
    notice = Notice.objects.select_related("event__organization").latest("pk")
    assert all(recipient.wants_mail for recipient in find_recipients(notice))
    assert muted_groups(cast.owner) == frozenset()


def test_a_contact_is_mailed_even_when_a_person_with_that_address_muted_it(cast: Cast) -> None:
    Contact.objects.create(organization=cast.organization, kind=Contact.Kind.TECHNICAL, email=cast.owner.email.upper())
    set_muted_groups(cast.owner, [Group.TRUST])
    found = {one.address: one for one in find_recipients(notice_of(cast, "keys.unreachable"))}
    assert found[cast.owner.email].contact == "technical"
    assert found[cast.owner.email].user == cast.owner


def test_the_switches_of_one_person_are_nobody_else_s(cast: Cast) -> None:
    set_muted_groups(cast.owner, MUTABLE)
    assert muted_groups(cast.developer) == frozenset()
    set_muted_groups(cast.owner, [Group.TRUST, Group.TRUST])
    assert muted_groups(cast.owner) == {Group.TRUST}


def test_only_staff_have_a_switch_for_the_queue(cast: Cast) -> None:
    assert Group.QUEUE not in groups_for(cast.owner)
    assert Group.QUEUE in groups_for(cast.reviewer)
