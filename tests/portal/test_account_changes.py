"""Whatever changes how a person signs in is in the trail and told to them by mail and in the inbox (portal.md 4.8)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.core.cache import cache
from django.test import Client as Browser
from django.urls import reverse

from registry.models import AuditEvent, Notice, NoticeReceipt, User
from tests.conftest import Cast

PASSWORD, NEW = "correct horse battery", "another horse battery"
OLD_ADDRESS, NEW_ADDRESS = "owner@lighthouse.example", "ada@elsewhere.example"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(cast: Cast) -> Browser:
    """The owner, signed in by password, which was given once more."""
    cache.clear()
    user: User = cast.owner
    user.set_password(PASSWORD)
    user.save()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    browser = Browser(REMOTE_ADDR="192.0.2.1", headers={"User-Agent": "Firefox/140.0"})
    assert browser.post(reverse("account_login"), {"login": user.email, "password": PASSWORD}).status_code == 302
    assert browser.post(reverse("account_reauthenticate"), {"password": PASSWORD}).status_code == 302
    mail.outbox.clear()
    return browser


def told(event: str, user: User, *addresses: str) -> str:
    """Check that `event` was written down once and told to `addresses` and into the inbox; return the last mail."""
    row = AuditEvent.objects.get(event=event)
    assert (row.object_id, row.actor_id, row.organization) == (str(user.pk), str(user.sub), None)
    assert (row.source_address, row.user_agent_family) == ("192.0.2.1", "Firefox")
    assert Notice.objects.get(event=row).sent_at is not None
    assert NoticeReceipt.objects.filter(notice__event=row, user=user).count() == 1
    mails = [one for one in mail.outbox if f"Event {row.pk}," in one.body]
    assert sorted(address for one in mails for address in one.to) == sorted(addresses)
    return str(mails[-1].body)


def test_a_new_password_is_told(owner: Browser, cast: Cast) -> None:
    form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    assert owner.post(reverse("account_change_password"), form).status_code == 302
    body = told("account.password_changed", cast.owner, OLD_ADDRESS)
    assert "If it was not" in body
    assert reverse("account") in body
    assert NEW not in body + str(list(AuditEvent.objects.values()))
    page = owner.get(reverse("account_notices")).content.decode()
    assert "The password of Owner was changed" in page


def test_a_password_that_is_refused_is_not_told(owner: Browser) -> None:
    form = {"oldpassword": "wrong", "password1": NEW, "password2": NEW}
    assert owner.post(reverse("account_change_password"), form).status_code == 200
    assert not AuditEvent.objects.filter(event__startswith="account.").exists()
    assert mail.outbox == []


def test_a_password_that_was_chosen_by_a_link_in_a_mail_is_told(owner: Browser, cast: Cast) -> None:
    visitor = Browser(REMOTE_ADDR="192.0.2.1", headers={"User-Agent": "Firefox/140.0"})
    visitor.post(reverse("account_reset_password"), {"email": OLD_ADDRESS})
    link = re.search(r"https?://[^/\s]+(/accounts/password/reset/key/\S+)", str(mail.outbox[-1].body))
    assert link
    page = visitor.get(link[1], follow=True)
    answer = visitor.post(page.request["PATH_INFO"], {"password1": NEW, "password2": NEW})
    assert answer.status_code == 302
    told("account.password_changed", cast.owner, OLD_ADDRESS)


def test_another_address_is_told_to_both_addresses(owner: Browser, cast: Cast) -> None:
    EmailAddress.objects.create(user=cast.owner, email=NEW_ADDRESS, verified=True)
    answer = owner.post(reverse("account_email"), {"email": NEW_ADDRESS, "action_primary": ""})
    assert answer.status_code == 302
    body = told("account.email_changed", cast.owner, OLD_ADDRESS, NEW_ADDRESS)
    assert f"It was {OLD_ADDRESS} and is {NEW_ADDRESS} now." in body


def set_up_totp(browser: Browser) -> Any:
    """Set up an authenticator app."""
    url = reverse("mfa_activate_totp")
    secret = browser.get(url).context["form"].secret
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    return browser.post(url, {"code": totp.format_hotp_value(totp.hotp_value(secret, counter))})


def test_a_second_factor_is_told_when_it_is_set_up_and_when_it_is_removed(owner: Browser, cast: Cast) -> None:
    assert set_up_totp(owner).status_code == 302
    added = AuditEvent.objects.filter(event="account.factor_added")
    assert {"factor": [None, "totp"]} in [row.difference for row in added]
    assert any("Which: an authenticator app" in one.body and one.to == [OLD_ADDRESS] for one in mail.outbox)
    mail.outbox.clear()
    assert owner.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert not Authenticator.objects.filter(user=cast.owner, type="totp").exists()
    removed = AuditEvent.objects.filter(event="account.factor_removed")
    assert {"factor": ["totp", None]} in [row.difference for row in removed]
    assert any("A way to sign in was removed" in one.subject for one in mail.outbox)


def test_new_recovery_codes_are_told_without_the_codes(owner: Browser, cast: Cast) -> None:
    set_up_totp(owner)
    mail.outbox.clear()
    assert owner.post(reverse("mfa_generate_recovery_codes")).status_code == 302
    body = told("account.recovery_codes_made", cast.owner, OLD_ADDRESS)
    codes = Authenticator.objects.get(user=cast.owner, type="recovery_codes").wrap().get_unused_codes()
    assert codes
    assert not any(code in body + str(list(AuditEvent.objects.values())) for code in codes)
