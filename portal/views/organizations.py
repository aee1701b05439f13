"""Organizations: list, create, profile, and the steps of their review."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from federation.entity_claims import claim_entities
from portal.access import actor_for, get_organization, has_role
from portal.forms.findings import lines_of
from portal.forms.once import run_once
from portal.forms.organizations import CloseForm, NewOrganizationForm, OrganizationDetailsForm, ProfileForm
from portal.views.attention import count_everything
from portal.views.common import do_and_return, page, refusals_denied
from portal.views.timeline import entries, review_events_of_organization
from protocol.errors import MetadataRefused, TransitionRefused
from registry.lifecycle import change_organization, create_organization, update_organization
from registry.lifecycle.organizations import missing_for_submission
from registry.models import Organization
from registry.organization_details import read_organization_details
from registry.transitions import ORGANIZATION, OWNER

# The steps a partner takes here, each with what is said when it is done. Closing has a page of its own.
STEPS: Final = {
    "submit": gettext_lazy("Submitted. You get a mail when our staff decided."),
    "withdraw": gettext_lazy("Withdrawn. Change what you like and submit it again."),
    "reopen": gettext_lazy("Reopened as a draft. You can submit it once more."),
    "close": gettext_lazy("Closed. Its apps get no tokens any more."),
}
HISTORY_SHOWN: Final = 20
# Which field a refusal of the service is about.
_FIELD_OF_REASON: Final = {"duplicate": "registration_number", "identity": "legal_name"}


@login_required
@require_GET
def organizations(request: HttpRequest) -> HttpResponse:
    """List the organizations of the signed-in person."""
    memberships = list(request.user.memberships.select_related("organization").order_by("organization__legal_name"))  # type: ignore[union-attr]
    counts = count_everything([membership.organization for membership in memberships], timezone.now())
    rows = [{"membership": membership, "attention": counts[membership.organization_id]} for membership in memberships]
    return render(request, "organizations/list.html", {"rows": rows})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def organization_new(request: HttpRequest) -> HttpResponse:
    """Create a draft from the form, at once; submitting it for approval is another step."""
    form = NewOrganizationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(run_once(request, form, lambda: _create(request, form), otherwise=reverse("organizations")))
        except (MetadataRefused, TransitionRefused) as refused:
            show_refusal(form, refused)
    return render(request, "organizations/new.html", {"form": form})


def _create(request: HttpRequest, form: NewOrganizationForm) -> str:
    values = form.details
    organization = create_organization(
        actor_for(request),
        values.pop("legal_name"),
        now=timezone.now(),
        owner=request.user,  # type: ignore[arg-type]
        contacts=form.contacts,
        **values,
    )
    messages.success(request, _("Saved as a draft. Nobody reviews it until you submit it."))
    if claim_entities(organization, lines_of(form.cleaned_data["entity_ids"]), actor_for(request), now=timezone.now()):
        messages.info(request, _("Your entities are claimed. Prove them on the page Federation within seven days."))
    return reverse("organization", args=[organization.slug])


def show_refusal(form: OrganizationDetailsForm, refused: MetadataRefused | TransitionRefused) -> None:
    """Show what a service refused next to the field it is about."""
    if isinstance(refused, MetadataRefused):
        form.show_findings(refused.findings)
    else:
        form.refuse(refused.description, _FIELD_OF_REASON.get(refused.reason))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def organization_profile(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the organization says of itself; owners change it."""
    organization = get_organization(request, slug, *((OWNER,) if request.method == "POST" else ()))
    editable = has_role(request, OWNER) and organization.state != Organization.State.CLOSED
    form = ProfileForm(request.POST if request.method == "POST" else None, organization=organization, editable=editable)
    if request.method == "POST" and form.is_valid():
        try:
            with refusals_denied():
                update_organization(organization, actor_for(request), contacts=form.contacts, **form.details)
            messages.success(request, _("Saved."))
            return redirect("organization_profile", slug)
        except (MetadataRefused, TransitionRefused) as refused:
            show_refusal(form, refused)
    read = read_organization_details({"legal_name": organization.legal_name, "website": organization.website})
    context = {
        "form": form,
        "editable": editable,
        "remarks": [] if form.is_bound else read.findings,
        "missing": missing_for_submission(organization),
        "may_submit": organization.state in ORGANIZATION["submit"].sources,
        "history": entries(review_events_of_organization(organization)[:HISTORY_SHOWN]),
    }
    return page(request, "organizations/profile.html", organization, "organization", context)


@login_required
@require_POST
def organization_step(request: HttpRequest, slug: str, step: str) -> HttpResponse:
    """Submit, withdraw, reopen or close the organization."""
    organization = get_organization(request, slug)
    if step not in STEPS:
        raise Http404
    if step == "close":
        form = CloseForm(request.POST, name=organization.legal_name)
        if has_role(request, OWNER) and not form.is_valid():
            return page(request, "organizations/close.html", organization, "organization", {"form": form})
    return do_and_return(
        request,
        lambda: change_organization(organization, step, actor_for(request), now=timezone.now()),
        done=str(STEPS[step]),
        to=reverse("organization", args=[slug]),
    )


@login_required
@require_GET
def organization_close(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what closing does and ask for the name."""
    organization = get_organization(request, slug, OWNER)
    form = CloseForm(name=organization.legal_name)
    return page(request, "organizations/close.html", organization, "organization", {"form": form})
