"""The first page of an organization."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from dcr.token_attention import TokenAttention
from portal.access import get_organization
from portal.views.attention import find_everything
from portal.views.common import page, paginate
from portal.views.timeline import entries, events_of_organization
from registry.attention import Attention
from registry.lifecycle.organizations import missing_for_submission
from registry.models import Client, Organization
from registry.review_times import is_delayed, median_review_time
from registry.transitions import OWNER

_LATEST: Final = 10
# Where something can be done about what is wrong with an app, when it is not its first page.
_PAGES: Final = {
    **dict.fromkeys(("secret_ending", "keys_unreachable"), "app_credentials"),
    **dict.fromkeys(("trust_broken", "trust_suspect", "trust_stale", "trust_ending"), "app_trust"),
}
_SOURCES: Final = (
    (Client.Source.MANUAL, gettext_lazy("By hand")),
    (Client.Source.DCR, gettext_lazy("By dynamic registration")),
    (Client.Source.FEDERATION_AUTOMATIC, gettext_lazy("By a federation, automatic")),
    (Client.Source.FEDERATION_EXPLICIT, gettext_lazy("By a federation, explicit")),
)


@login_required
@require_GET
def organization_overview(request: HttpRequest, slug: str) -> HttpResponse:
    """Say where the organization stands, what needs attention and what to do next."""
    organization, now = get_organization(request, slug), timezone.now()
    counts = _counts(organization)
    attention = paginate(request, find_everything([organization], now))
    waits = organization.state == Organization.State.PENDING
    context = {
        "page": attention,
        "attention": [{"item": item, "url": _where(item)} for item in attention],
        "checklist": _checklist(organization, counts),
        "counts": counts,
        "sources": [(word, source, counts[source]) for source, word in _SOURCES],
        "events": entries(events_of_organization(organization)[:_LATEST]),
        "missing": missing_for_submission(organization) if organization.state in ("draft", "changes_requested") else [],
        "review_time": _review_time(now) if waits else None,
        "is_delayed": waits and organization.submitted_at is not None and is_delayed(organization.submitted_at, now),
        "staff_address": settings.DEFAULT_FROM_EMAIL,
    }
    return page(request, "organizations/overview.html", organization, "overview", context)


def _review_time(now: datetime) -> timedelta | None:
    """Return how long reviews take, None when nothing is known that a person could rely on. Two queries."""
    time = median_review_time(now)
    return time if time is not None and time >= timedelta(minutes=1) else None


def _counts(organization: Organization) -> dict[str, int]:
    """Return what the page counts. Two queries."""
    counts = Counter({"owners": organization.memberships.filter(role=OWNER).count()})
    rows = organization.clients.order_by().values_list("source", "stage", "state")
    for source, stage, state, found, used in rows.annotate(found=Count("pk"), used=Count("last_used_at")):
        counts["used"] += used
        if state != Client.State.CLOSED:
            for name in ("apps", source, stage, state):
                counts[name] += found
    return counts


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
        _item(
            _("Register a test app"),
            done=counts["apps"] > 0,
            url=reverse("app_new", args=[slug]),
            link=_("Register an app"),
            text=_("It works at once, for members of your organization."),
        ),
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
        return reverse("app_new" if item.draft else "organization_profile", args=[slug])
    if item.change_request is not None:
        return reverse("app_change", args=[slug, item.client.reference, item.change_request.reference])
    return reverse(_PAGES.get(item.code, "app"), args=[slug, item.client.reference])
