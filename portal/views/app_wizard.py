"""Registering an app step by step: what and how, one group of answers per page, and the review that registers it (portal.md, 13 and 14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from portal.access import EDITORS, actor_for, get_app_draft, get_organization
from portal.forms.app_steps import StartForm, StepForm
from portal.forms.apps import GROUP_TITLES
from portal.forms.once import run_once
from portal.registration_ways import BY_FEDERATION, BY_SOFTWARE
from portal.views.common import do_and_return, page, refusals_denied
from portal.views.draft_rows import answer_rows, kind_words
from protocol.errors import MetadataRefused, TransitionRefused
from registry.app_answers import groups_of
from registry.app_drafts import (
    DraftAssessment,
    assess_answers,
    check_room_for_app,
    discard_draft,
    register_draft,
    save_answers,
    start_draft,
)
from registry.findings import errors_among
from registry.models import AppDraft, Organization
from registry.scopes import scopes_offered_to

REVIEW: Final = "review"
_TITLES: Final = {**GROUP_TITLES, REVIEW: gettext_lazy("Review")}
_ELSEWHERE: Final = {BY_SOFTWARE: "registration_tokens", BY_FEDERATION: "organization_federation"}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def app_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask what to register and how; by hand begins a draft, the other ways have pages of their own."""
    organization = get_organization(request, slug, *EDITORS)
    form = StartForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        if form.destination in _ELSEWHERE:
            return redirect(_ELSEWHERE[form.destination], slug)
        try:
            with refusals_denied():
                return redirect(run_once(request, form, _starter(request, organization, form), otherwise=reverse("apps", args=[slug])))
        except TransitionRefused as refused:
            form.add_error(None, refused.description)
    no_room = "" if form.errors else _why_no_room(organization)
    return page(request, "apps/new.html", organization, "apps", {"form": form, "no_room": no_room})


def _starter(request: HttpRequest, organization: Organization, form: StartForm) -> Callable[[], str]:
    def start() -> str:
        draft = start_draft(actor_for(request), organization, form.cleaned_data["kind"], now=timezone.now())
        return reverse("app_draft", args=[organization.slug, draft.reference, "basics"])

    return start


def _why_no_room(organization: Organization) -> str:
    """Return why no other app can be registered by hand, empty when one can."""
    try:
        check_room_for_app(organization)
    except TransitionRefused as refused:
        return refused.description
    return ""


@sensitive_post_parameters("jwks")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def app_draft(request: HttpRequest, slug: str, draft: UUID, step: str) -> HttpResponse:
    """Show one step of a draft, and keep what is answered; where the draft became an app, go there."""
    try:
        row = get_app_draft(request, slug, draft, *EDITORS)
    except Http404:
        # A draft that was registered left its reference to the app: a second post, or a tab that was left open, leads there.
        if get_organization(request, slug, *EDITORS).clients.filter(reference=draft).exists():
            return redirect("app", slug, draft)
        raise
    if step not in _TITLES:
        raise Http404
    if step != REVIEW and step not in groups_of(row.answers.get("kind", "")):
        return redirect("app_draft", slug, draft, REVIEW)
    return _review(request, row) if step == REVIEW else _fill_in(request, row, step)


def _fill_in(request: HttpRequest, draft: AppDraft, step: str) -> HttpResponse:
    organization, now = draft.organization, timezone.now()
    form = StepForm(request.POST if request.method == "POST" else None, draft=draft, step=step, scopes=scopes_offered_to(organization))
    form.is_valid()
    if request.method == "POST":
        try:
            with refusals_denied():
                draft = save_answers(draft, actor_for(request), form.answers, now=now)
        except TransitionRefused as refused:
            form.refuse(refused.description)
    assessment = assess_answers(organization, draft.answers, now=now)
    if form.is_bound:
        form.show_assessment(assessment.findings)
    if request.method == "POST" and not form.errors:
        return redirect("app_draft", organization.slug, draft.reference, _next_step(request, draft, step))
    form.check_url = f"{reverse('app_check', args=[organization.slug])}?draft={draft.reference}&"
    names = list(groups_of(draft.answers.get("kind", "")))
    context = {
        "form": form,
        "draft": draft,
        "title": _TITLES[step],
        "kind": kind_words(draft.answers.get("kind", "")),
        "number": names.index(step) + 1,
        "count": len(names) + 1,
        "steps": _steps(draft, assessment, step),
        "kept": request.method == "POST",
    }
    return page(request, "apps/draft.html", organization, "apps", context)


def _next_step(request: HttpRequest, draft: AppDraft, step: str) -> str:
    """Return the step after this one; who came from the review goes back to it."""
    names = [*groups_of(draft.answers.get("kind", "")), REVIEW]
    return REVIEW if "review" in request.GET or step not in names else names[names.index(step) + 1]


def _steps(draft: AppDraft, assessment: DraftAssessment, current: str) -> list[dict[str, Any]]:
    """Return the steps for templates/components/steps.html: done, with something to fix, or not answered yet."""
    steps = []
    for name, answers in groups_of(draft.answers.get("kind", "")).items():
        wrong = len(errors_among(assessment.about(name)))
        state, text = "done", ""
        if not any(answer in draft.answers for answer in answers):
            state, text = "", _("Not yet")
        elif wrong:
            state, text = "failed todo", ngettext("%(n)d thing to fix", "%(n)d things to fix", wrong) % {"n": wrong}
        steps.append({"title": _TITLES[name], "text": text, "state": state, "is_current": name == current, "url": _address(draft, name)})
    return [*steps, {"title": _TITLES[REVIEW], "state": "", "is_current": current == REVIEW, "url": _address(draft, REVIEW)}]


def _address(draft: AppDraft, step: str) -> str:
    return reverse("app_draft", args=[draft.organization.slug, draft.reference, step])


def _review(request: HttpRequest, draft: AppDraft) -> HttpResponse:
    """Show everything that was answered with everything there is to say about it, and register it."""
    organization, now = draft.organization, timezone.now()
    refusal = ""
    if request.method == "POST":
        try:
            with refusals_denied():
                client = register_draft(draft, actor_for(request), now=now)
        except MetadataRefused as refused:
            count = len(errors_among(refused.findings))
            words = ngettext(
                "Nothing was registered: %(n)d thing has to be fixed.", "Nothing was registered: %(n)d things have to be fixed.", count
            )
            refusal = words % {"n": count}
        except TransitionRefused as refused:
            if refused.reason == "gone":
                return redirect("app_draft", organization.slug, draft.reference, REVIEW)
            refusal = refused.description
        else:
            messages.success(request, _("Registered. It is a test app, for members of your organization."))
            return redirect("app", organization.slug, client.reference)
    assessment = assess_answers(organization, draft.answers, now=now)
    scopes = list(scopes_offered_to(organization))
    groups = [
        {
            "title": _TITLES[name],
            "name": name,
            "url": f"{_address(draft, name)}?review",
            "rows": answer_rows(draft.answers, answers, scopes),
            "findings": assessment.about(name),
        }
        for name, answers in groups_of(draft.answers.get("kind", "")).items()
    ]
    context = {
        "draft": draft,
        "groups": groups,
        "other_findings": assessment.about(""),
        "errors": len(assessment.errors),
        "refusal": refusal,
        "steps": _steps(draft, assessment, REVIEW),
    }
    return page(request, "apps/review.html", organization, "apps", context)


@login_required
@require_POST
def app_draft_discard(request: HttpRequest, slug: str, draft: UUID) -> HttpResponse:
    """Delete a draft."""
    row = get_app_draft(request, slug, draft, *EDITORS)
    return do_and_return(
        request, lambda: discard_draft(row, actor_for(request)), done=_("The draft was discarded."), to=reverse("apps", args=[slug])
    )
