"""Listening to allauth: what it did to the ways a person signs in (registry.account_security)."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import email_changed, password_changed, password_reset, password_set
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.dispatch import receiver
from django.http import HttpRequest

from portal.access import actor_as
from registry.account_security import FACTOR_ADDED, FACTOR_REMOVED, PASSWORD_CHANGED, RECOVERY_CODES_MADE, record_change
from registry.models import User
from registry.notice_kinds import EMAIL_CHANGED


@receiver((password_changed, password_reset, password_set), dispatch_uid="portal.account_changes.password")
def note_password(request: HttpRequest, user: User, **_: Any) -> None:
    """Note a new password, whether they knew the old one or came by a link in a mail."""
    record_change(PASSWORD_CHANGED, user, actor_as(request, user))


@receiver(email_changed, dispatch_uid="portal.account_changes.email")
def note_email(request: HttpRequest, user: User, from_email_address: EmailAddress | None, to_email_address: EmailAddress, **_: Any) -> None:
    """Note another address to sign in with."""
    before = from_email_address.email if from_email_address else None
    record_change(EMAIL_CHANGED, user, actor_as(request, user), email=(before, to_email_address.email))


@receiver(authenticator_added, dispatch_uid="portal.account_changes.added")
def note_added(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """Note a second factor or a passkey that was added."""
    record_change(FACTOR_ADDED, user, actor_as(request, user), factor=(None, str(authenticator.type)))


@receiver(authenticator_removed, dispatch_uid="portal.account_changes.removed")
def note_removed(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """Note a second factor or a passkey that was removed."""
    record_change(FACTOR_REMOVED, user, actor_as(request, user), factor=(str(authenticator.type), None))


@receiver(authenticator_reset, dispatch_uid="portal.account_changes.reset")
def note_reset(request: HttpRequest, user: User, **_: Any) -> None:
    """Note that new recovery codes took the place of the old ones."""
    record_change(RECOVERY_CODES_MADE, user, actor_as(request, user))
