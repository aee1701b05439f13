"""Apps: change one, and what the server makes of a form while it is filled in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from dcr.answers import registration_client_uri
from portal.access import EDITORS, actor_for, get_app_draft, get_client, get_organization
from portal.forms.app_steps import StepForm
from portal.forms.apps import AppForm, EditAppForm
from portal.views.app_pages import statement_of
from portal.views.common import page, refusals_denied
from portal.views.metadata_rows import declared_rows, with_origin
from protocol.errors import MetadataRefused, TransitionRefused
from registry.app_answers import groups_of
from registry.app_drafts import assess_answers
from registry.lifecycle import Assessment, Update, assess_metadata, update_client
from registry.models import Client, Organization
from registry.scopes import scopes_offered_to


def _refused_before(form: AppForm, organization: Organization, stage: str) -> bool:
    """Say whether the pasted keys are none; then everything else there is to say is shown with that."""
    if not form.keys_refused:
        return False
    form.show_assessment(_assess(form, organization, stage).findings)
    return True


def _assess(form: AppForm, organization: Organization, stage: str) -> Assessment:
    """Say what the rules make of the form; only apps made by hand are edited by one, and those have no rules of their own."""
    return assess_metadata(form.document, organization, stage=stage, now=timezone.now(), restrictions={})


def _show_refusal(form: AppForm, refused: MetadataRefused | TransitionRefused) -> None:
    if isinstance(refused, MetadataRefused):
        form.show_assessment(refused.findings)
    else:
        form.refuse(refused.description)


@sensitive_post_parameters("jwks")
@login_required
@require_POST
def app_check(request: HttpRequest, slug: str) -> HttpResponse:
    """Return the findings about one field of the form as it is filled in; writes nothing."""
    organization = get_organization(request, slug, *EDITORS)
    name = request.GET.get("field", "")
    form = _draft_checked(request, slug, name) if "draft" in request.GET else _app_checked(request, organization, slug)
    if name not in form.fields:
        raise Http404
    return render(request, "components/findings.html", {"findings": form.fields[name].findings})  # type: ignore[attr-defined]


def _app_checked(request: HttpRequest, organization: Organization, slug: str) -> AppForm:
    """Return the form of an app as it was sent, with its findings."""
    client = get_client(request, slug, _reference(request.GET["app"])) if "app" in request.GET else None
    form = AppForm(request.POST, scopes=scopes_offered_to(organization), client=client)
    form.is_valid()
    if not form.errors:
        form.show_assessment(_assess(form, organization, client.stage if client else Client.Stage.TEST).findings)
    return form


def _draft_checked(request: HttpRequest, slug: str, name: str) -> StepForm:
    """Return the step of a draft that asks for `name`, as it was sent, with findings that know the other answers."""
    draft = get_app_draft(request, slug, _reference(request.GET["draft"]))
    groups = groups_of(draft.answers.get("kind", ""))
    step = next((step for step, names in groups.items() if name in names), None)
    if step is None:
        raise Http404
    form = StepForm(request.POST, draft=draft, step=step, scopes=scopes_offered_to(draft.organization))
    form.is_valid()
    form.show_assessment(assess_answers(draft.organization, {**draft.answers, **form.answers}, now=timezone.now()).findings)
    return form


def _reference(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None


@sensitive_post_parameters("jwks")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def app_edit(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Change what an app registered; a sensitive change of a live app becomes a request."""
    client = get_client(request, slug, reference, *EDITORS)
    if client.source != Client.Source.MANUAL or client.state == Client.State.CLOSED:
        if request.method == "POST":
            messages.error(request, _("This app cannot be changed here."))
            return redirect("app", slug, reference)
        context = {"client": client, "tab": "settings", **_elsewhere(client)}
        return page(request, "apps/not_editable.html", client.organization, "apps", context)
    form = EditAppForm(request.POST if request.method == "POST" else None, scopes=scopes_offered_to(client.organization), client=client)
    if form.is_bound and form.is_valid() and not _refused_before(form, client.organization, client.stage):
        try:
            with refusals_denied():
                return _after_update(request, slug, _update(request, client, form))
        except (MetadataRefused, TransitionRefused) as refused:
            _show_refusal(form, refused)
    form.check_url = f"{reverse('app_check', args=[slug])}?app={client.reference}&"
    context = {"client": client, "tab": "settings", "form": form}
    return page(request, "apps/edit.html", client.organization, "apps", context)


def _elsewhere(client: Client) -> dict[str, Any]:
    """Return where an app that registered itself is changed, and who says what of it."""
    if client.source != Client.Source.DCR:
        return {}
    statement = statement_of(client)
    rows = [row for row in declared_rows(client.declared_metadata, client.metadata, ()) if row.effective]
    return {
        "registration_client_uri": registration_client_uri(client.client_id),
        "statement": statement,
        "rows": with_origin(rows, statement.asserted) if statement else rows,
    }


def _update(request: HttpRequest, client: Client, form: EditAppForm) -> Update:
    why = form.cleaned_data.get("justification", "")
    return update_client(client, actor_for(request), form.document, now=timezone.now(), justification=why)


def _after_update(request: HttpRequest, slug: str, update: Update) -> HttpResponse:
    if update.change_request is None:
        messages.success(request, _("Saved. It applies from now on."))
        return redirect("app", slug, update.client.reference)
    messages.info(request, _("This change needs approval. The app stays as it is until then."))
    return redirect("app_change", slug, update.client.reference, update.change_request.reference)
