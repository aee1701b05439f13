"""Apps: list, register, change, and what the server makes of a form while it is filled in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dcr.answers import registration_client_uri
from portal.access import EDITORS, actor_for, get_client, get_organization
from portal.forms.apps import AppForm, EditAppForm, NewAppForm
from portal.forms.once import run_once
from portal.views.app_pages import statement_of
from portal.views.common import page, paginate, refusals_denied
from portal.views.metadata_rows import declared_rows, with_origin
from protocol.errors import MetadataRefused, TransitionRefused
from registry.lifecycle import Assessment, Update, assess_metadata, register_client, update_client
from registry.models import Client, Organization
from registry.scopes import scopes_offered_to


@login_required
@require_GET
def apps(request: HttpRequest, slug: str) -> HttpResponse:
    """List the apps of the organization."""
    organization = get_organization(request, slug)
    wanted = {name: request.GET.get(name, "") for name in ("q", "stage", "state")}
    context = {
        "page": paginate(request, _filtered(organization, wanted)),
        "wanted": wanted,
        "filtered": any(wanted.values()),
        "stages": Client.Stage.choices,
        "states": Client.State.choices,
    }
    return page(request, "apps/list.html", organization, "apps", context)


def _filtered(organization: Organization, wanted: dict[str, str]) -> QuerySet[Client]:
    """Return the apps that match the filters; closed ones only when they are asked for."""
    rows = organization.clients.all()
    if text := wanted["q"].replace("\0", "")[:200]:
        rows = rows.filter(Q(name__icontains=text) | Q(client_id__icontains=text))
    if wanted["stage"] in Client.Stage.values:
        rows = rows.filter(stage=wanted["stage"])
    if wanted["state"] in Client.State.values:
        return rows.filter(state=wanted["state"])
    return rows.exclude(state=Client.State.CLOSED)


@sensitive_post_parameters("jwks")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def app_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Register a test app from the form."""
    organization = get_organization(request, slug, *EDITORS)
    form = NewAppForm(request.POST if request.method == "POST" else None, scopes=scopes_offered_to(organization))
    if form.is_bound and form.is_valid() and not _refused_before(form, organization, Client.Stage.TEST):
        try:
            with refusals_denied():
                address = run_once(request, form, lambda: _register(request, organization, form), otherwise=reverse("apps", args=[slug]))
            return redirect(address)
        except (MetadataRefused, TransitionRefused) as refused:
            _show_refusal(form, refused)
    form.check_url = f"{reverse('app_check', args=[slug])}?"
    context = {"form": form}
    return page(request, "apps/new.html", organization, "apps", context)


def _register(request: HttpRequest, organization: Organization, form: NewAppForm) -> str:
    client = register_client(actor_for(request), organization, form.document, now=timezone.now())
    messages.success(request, _("Registered. It is a test app, for members of your organization."))
    return reverse("app", args=[organization.slug, client.reference])


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
    client = get_client(request, slug, _reference(request.GET["app"])) if "app" in request.GET else None
    form = AppForm(request.POST, scopes=scopes_offered_to(organization), client=client)
    name = request.GET.get("field", "")
    if name not in form.fields:
        raise Http404
    form.is_valid()
    if not form.errors:
        stage = client.stage if client else Client.Stage.TEST
        form.show_assessment(_assess(form, organization, stage).findings)
    return render(request, "components/findings.html", {"findings": form.fields[name].findings})  # type: ignore[attr-defined]


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
