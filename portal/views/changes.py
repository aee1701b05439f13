"""Asking for approval: going live, and sensitive changes of a live app (portal.md, page 23)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from portal.access import EDITORS, actor_for, get_change_request, get_client, has_role, needed_role
from portal.forms.apps import GoLiveForm
from portal.forms.comments import CommentForm
from portal.forms.once import run_once
from portal.views.common import do_and_return, page, refusals_denied
from portal.views.metadata_rows import all_rows, changed_rows
from protocol.errors import MetadataRefused, TransitionRefused
from registry.entitlements import scopes_waiting_for_approval
from registry.health import describe_access
from registry.lifecycle import assess_metadata, decide_change, request_go_live
from registry.lifecycle.assessment import Assessment
from registry.models import ChangeRequest, Client, Organization
from registry.review_comments import add_comment, may_comment, thread_for_partner
from registry.sensitivity import reasons_for_review
from registry.transitions import OWNER


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def app_go_live(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Show what going live takes, and ask for it."""
    client = get_client(request, slug, reference)
    if client.stage == Client.Stage.LIVE:
        messages.info(request, _("This app is live already."))
        return redirect("app", slug, reference)
    if request.method == "POST" and not has_role(request, OWNER):
        raise PermissionDenied(needed_role(request.membership, OWNER))  # type: ignore[attr-defined]
    form = GoLiveForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            with refusals_denied():
                return redirect(
                    run_once(request, form, lambda: _ask(request, client, form), otherwise=reverse("app", args=[slug, reference]))
                )
        except MetadataRefused:
            form.add_error(None, _("What is listed below must be mended first."))
        except TransitionRefused as refused:
            form.add_error(None, refused.description)
    return page(request, "apps/go_live.html", client.organization, "apps", _go_live_context(client, form))


def _ask(request: HttpRequest, client: Client, form: GoLiveForm) -> str:
    made = request_go_live(client, actor_for(request), now=timezone.now(), justification=form.cleaned_data["justification"])
    messages.success(request, _("Submitted. You get a mail when a reviewer decided."))
    return reverse("app_change", args=[client.organization.slug, client.reference, made.reference])


def _go_live_context(client: Client, form: GoLiveForm) -> dict[str, Any]:
    now = timezone.now()
    assessment = assess_metadata(client.metadata, client.organization, stage=Client.Stage.LIVE, now=now, restrictions=client.restrictions)
    return {
        "client": client,
        "tab": "go_live",
        "form": form,
        "items": _checklist(client, assessment),
        "blocking": assessment.errors,
        "warnings": [finding for finding in assessment.findings if finding.level == "warning"],
        "sensitive": sorted(scopes_waiting_for_approval(client, now)),
        "open_request": client.change_requests.filter(state=ChangeRequest.State.OPEN).first(),
    }


def _checklist(client: Client, assessment: Assessment) -> list[dict[str, Any]]:
    place = [client.organization.slug, client.reference]
    works = not any(reason.code.startswith(("secret", "keys")) for reason in describe_access(client, timezone.now()).reasons)
    return [
        {
            "title": _("The organization is approved"),
            "done": client.organization.state == Organization.State.APPROVED,
            "url": reverse("organization", args=place[:1]),
            "link": _("See where it stands"),
        },
        {
            "title": _("The app is active"),
            "done": client.state == Client.State.ACTIVE,
            "url": reverse("app", args=place),
            "link": _("Open the app"),
        },
        {
            "title": _("Its registration passes the rules for live apps"),
            "done": not assessment.errors,
            "url": reverse("app_edit", args=place),
            "link": _("Change the app"),
        },
        {
            "title": _("It has a credential that works"),
            "done": works,
            "url": reverse("app_credentials", args=place),
            "link": _("Open credentials"),
            "text": _("Not required, but a reviewer will ask."),
        },
        {
            "title": _("It names contacts"),
            "done": bool(client.metadata.get("contacts")),
            "url": reverse("app_edit", args=place),
            "link": _("Add contacts"),
            "text": _("Not required, but a reviewer will ask."),
        },
    ]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def app_change(request: HttpRequest, slug: str, reference: UUID, change: UUID) -> HttpResponse:
    """Show a request with its difference and where it stands; an owner withdraws it by POST."""
    row = get_change_request(request, slug, reference, change)
    if request.method == "POST":
        return do_and_return(
            request,
            lambda: decide_change(row, "withdraw", actor_for(request), now=timezone.now()),
            done=_("Withdrawn. The app stays as it is."),
            to=reverse("app_change", args=[slug, reference, change]),
        )
    return page(request, "apps/change.html", row.client.organization, "apps", _change_context(request, row))


@login_required
@require_POST
def app_change_comment(request: HttpRequest, slug: str, reference: UUID, change: UUID) -> HttpResponse:
    """Write to the reviewer about a request."""
    row = get_change_request(request, slug, reference, change)
    if not has_role(request, *EDITORS):
        raise PermissionDenied(needed_role(request.membership, *EDITORS))  # type: ignore[attr-defined]
    form, url = CommentForm(request.POST), reverse("app_change", args=[slug, reference, change]) + "#comments"

    def write() -> str:
        add_comment(row, actor_for(request), form.cleaned_data["text"], now=timezone.now())
        messages.success(request, _("The reviewer can read it now."))
        return url

    if form.is_valid():
        try:
            with refusals_denied():
                return redirect(run_once(request, form, write, otherwise=url))
        except TransitionRefused as refused:
            form.add_error("text", refused.description)
    return page(request, "apps/change.html", row.client.organization, "apps", _change_context(request, row, form))


def _change_context(request: HttpRequest, row: ChangeRequest, form: CommentForm | None = None) -> dict[str, Any]:
    compares = row.state in (ChangeRequest.State.OPEN, ChangeRequest.State.SENT_BACK) and row.kind == ChangeRequest.Kind.CHANGE
    current = row.client.metadata
    return {
        "client": row.client,
        "tab": "",
        "change": row,
        "rows": changed_rows(current, row.metadata) if compares else all_rows(row.metadata),
        "compares": compares,
        "reasons": reasons_for_review(current, row.metadata) if compares else (),
        "is_open": row.state == ChangeRequest.State.OPEN,
        "thread": thread_for_partner(row),
        "form": form or CommentForm(),
        "may_comment": may_comment(row, actor_for(request)),
        **_checks_of(row),
    }


def _checks_of(row: ChangeRequest) -> dict[str, Any]:
    """Return the checklist of going live and what the rules say of the content, while something can be done about it."""
    if row.state not in (ChangeRequest.State.OPEN, ChangeRequest.State.SENT_BACK):
        return {}
    client = row.client
    assessment = assess_metadata(
        row.metadata, client.organization, stage=Client.Stage.LIVE, now=timezone.now(), restrictions=client.restrictions
    )
    items = _checklist(client, assessment) if row.kind == ChangeRequest.Kind.GO_LIVE else []
    return {"items": items, "findings": [finding for finding in assessment.findings if finding.level != "note"]}
