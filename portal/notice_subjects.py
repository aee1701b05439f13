"""What notices are about, and where its page is: for many notices at once, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.urls import reverse

from dcr.models import InitialAccessToken
from registry.models import AuditEvent, ChangeRequest
from registry.notice_kinds import Voice

_CREDENTIALS = ("secret.", "registration_token.", "certificate.", "keys.")
_TRUST = ("trust.",)


@dataclass(frozen=True, slots=True)
class About:
    """What one notice is about: its name and the address of its page on this server."""

    name: str
    path: str


def find_subjects(told: Iterable[tuple[AuditEvent, Voice]]) -> list[About]:
    """Return what each event is about, its page as somebody told in that voice may open it. Two queries, however many there are."""
    told = list(told)
    changes = {
        str(row.pk): row
        for row in ChangeRequest.objects.filter(pk__in=_numbers(told, "changerequest")).select_related("client__organization")
    }
    tokens = {str(row.pk): row for row in InitialAccessToken.objects.filter(pk__in=_numbers(told, "initialaccesstoken"))}
    found = []
    for event, voice in told:
        change = changes.get(event.object_id) if event.object_type == "changerequest" else None
        name = str(change.client) if change else _name_of(event)
        if voice == Voice.STAFF:
            found.append(About(name, _staff_page(event)))
        elif event.event.startswith("account."):
            found.append(About(name, reverse("account")))
        elif voice == Voice.PERSON or event.organization is None:
            found.append(About(name, reverse("organizations")))
        else:
            found.append(About(name, _partner_page(event, event.organization.slug, change, tokens)))
    return found


def _name_of(event: AuditEvent) -> str:
    """Return what an event is about, by the name of today where it is at hand."""
    return event.organization.legal_name if event.object_type == "organization" and event.organization else event.object_label


def _numbers(told: list[tuple[AuditEvent, Voice]], kind: str) -> set[str]:
    return {event.object_id for event, _ in told if event.object_type == kind}


def _partner_page(event: AuditEvent, slug: str, change: ChangeRequest | None, tokens: dict[str, InitialAccessToken]) -> str:
    if change is not None:
        return reverse("app_change", args=[slug, change.client.reference, change.reference])
    if event.object_type == "client":
        page = "app_credentials" if event.event.startswith(_CREDENTIALS) else "app_trust" if event.event.startswith(_TRUST) else "app"
        return reverse(page, args=[slug, event.object_id])
    if event.object_type == "initialaccesstoken" and event.object_id in tokens:
        return reverse("registration_token", args=[slug, tokens[event.object_id].reference])
    if event.event.startswith("member."):
        return reverse("organization_members", args=[slug])
    if event.event == "registrations.summarized":
        return reverse("apps", args=[slug])
    return reverse("organization", args=[slug])


def _staff_page(event: AuditEvent) -> str:
    if event.object_type == "changerequest":
        return reverse("staff:registry_changerequest_change", args=[event.object_id])
    if event.object_type == "registrationrequest":
        return reverse("staff:federation_registrationrequest_change", args=[event.object_id])
    if event.object_type == "organization" and event.organization_id is not None:
        return reverse("staff:registry_organization_change", args=[event.organization_id])
    return reverse("staff:queue")
