"""The first page of an organization, and its activity."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from dcr.token_attention import TokenAttention
from portal.access import get_organization
from portal.views.attention import find_everything
from portal.views.common import page, paginate
from portal.views.timeline import entries, events_of_organization
from registry.attention import Attention
from registry.lifecycle.organizations import missing_for_submission
from registry.models import Client, Organization

_LATEST: Final = 10


@login_required
@require_GET
def organization_overview(request: HttpRequest, slug: str) -> HttpResponse:
    """Say where the organization stands, what needs attention and what to do next."""
    organization = get_organization(request, slug)
    counts = _counts(organization)
    context = {
        "attention": [{"item": item, "url": _where(item)} for item in find_everything([organization], timezone.now())],
        "checklist": _checklist(organization, counts),
        "counts": counts,
        "events": entries(events_of_organization(organization)[:_LATEST]),
        "missing": missing_for_submission(organization) if organization.state in ("draft", "changes_requested") else [],
    }
    return page(request, "organizations/overview.html", organization, "overview", context)


def _counts(organization: Organization) -> dict[str, int]:
    """Return what the page counts. One query."""
    open_apps = ~Q(clients__state=Client.State.CLOSED) & Q(clients__isnull=False)
    rows = Organization.objects.filter(pk=organization.pk)
    return rows.aggregate(
        apps=Count("clients", filter=open_apps, distinct=True),
        test=Count("clients", filter=open_apps & Q(clients__stage=Client.Stage.TEST), distinct=True),
        live=Count("clients", filter=open_apps & Q(clients__stage=Client.Stage.LIVE), distinct=True),
        suspended=Count("clients", filter=Q(clients__state=Client.State.SUSPENDED), distinct=True),
        used=Count("clients", filter=Q(clients__last_used_at__isnull=False), distinct=True),
        owners=Count("memberships", filter=Q(memberships__role="owner"), distinct=True),
    )


def _checklist(organization: Organization, counts: dict[str, int]) -> list[dict[str, Any]]:
    """Return the way from a new organization to a live app; it ticks itself."""
    slug = organization.slug
    submitted = organization.state not in (Organization.State.DRAFT, Organization.State.CHANGES_REQUESTED)
    approved = organization.state in (Organization.State.APPROVED, Organization.State.SUSPENDED)
    return [
        _item(
            _("Describe your organization"),
            done=submitted or not missing_for_submission(organization),
            url=reverse("organization_profile", args=[slug]),
            link=_("Fill in what is missing"),
            text=_("Country, website, technical and security contact."),
        ),
        _item(
            _("Submit it for approval"),
            done=submitted,
            url=reverse("organization_profile", args=[slug]),
            link=_("Look it over and submit"),
            text=_("A person checks it. You can register test apps meanwhile."),
        ),
        _item(_("Get approved"), done=approved, text=_("Our staff decides; you get a mail.")),
        _item(
            _("Add a second owner"),
            done=counts["owners"] > 1,
            url=reverse("organization_members", args=[slug]),
            link=_("Invite a colleague"),
            text=_("So that nobody is locked out when someone leaves."),
        ),
        _item(_("Register a test app"), done=counts["apps"] > 0, url=reverse("app_new", args=[slug]), link=_("Register an app")),
        _item(
            _("Get a first token"),
            done=counts["used"] > 0,
            url=reverse("apps", args=[slug]),
            link=_("Open your apps"),
            text=_("The page of each app has the command, filled in."),
        ),
        _item(
            _("Go live"),
            done=counts["live"] > 0,
            url=reverse("apps", args=[slug]),
            link=_("Open your apps"),
            text=_("Ask for it on the page of the app."),
        ),
    ]


def _item(title: str, *, done: bool, url: str = "", link: str = "", text: str = "") -> dict[str, Any]:
    return {"title": title, "done": done, "url": url, "link": link, "text": text}


def _where(item: Attention) -> str:
    """Return the page on which something can be done about it."""
    slug = item.organization.slug
    if isinstance(item, TokenAttention):
        return reverse("registration_token", args=[slug, item.token.reference])
    if item.client is None:
        return reverse("organization_profile", args=[slug])
    if item.code == "secret_ending":
        return reverse("app_credentials", args=[slug, item.client.reference])
    if item.change_request is not None:
        return reverse("app_change", args=[slug, item.client.reference, item.change_request.reference])
    return reverse("app", args=[slug, item.client.reference])


@login_required
@require_GET
def organization_activity(request: HttpRequest, slug: str) -> HttpResponse:
    """List everything that happened in the organization."""
    organization = get_organization(request, slug)
    events = paginate(request, events_of_organization(organization))
    return page(request, "organizations/activity.html", organization, "activity", {"page": events, "events": entries(events)})
