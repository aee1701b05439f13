"""The organization in federations: the entities that it claims, how it proves them, and the apps that came by them (portal.md, page 26)."""

from __future__ import annotations

import json
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from authserver.endpoints import endpoint_url
from federation.entity_claims import (
    CHALLENGE_LIFETIME,
    claim_entity,
    file_address,
    give_up_claim,
    prove_by_file,
    prove_by_signature,
)
from federation.models import EntityClaim, FederationRecord, TrustAnchorRecord
from federation.trust_report import describe_trust, entity_kinds
from portal.access import actor_for, get_organization
from portal.forms.federation import EntityClaimForm, SignedChallengeForm
from portal.forms.once import run_once
from portal.views.common import do_and_return, page, paginate, refusals_denied
from portal.views.trust import mark_rows
from protocol.errors import TransitionRefused
from protocol.jose.purposes import ENTITY_CLAIM_TYP
from registry.models import Client, Organization
from registry.transitions import OWNER

# What becomes of a trusted entity below an anchor that nobody has claimed.
_ANCHOR_RULES: Final = {
    TrustAnchorRecord.Organizations.CREATE: gettext_lazy("An organization is made for it."),
    TrustAnchorRecord.Organizations.MATCH: gettext_lazy("It is refused until an organization claims it here."),
    TrustAnchorRecord.Organizations.QUEUE: gettext_lazy("It waits until our staff says whose it is."),
}


@login_required
@require_GET
def organization_federation(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the entities of the organization, and how registration by federation works here."""
    return _federation_page(request, get_organization(request, slug), EntityClaimForm())


def _federation_page(
    request: HttpRequest,
    organization: Organization,
    form: EntityClaimForm,
    *,
    signed: tuple[EntityClaim, SignedChallengeForm] | None = None,
) -> HttpResponse:
    """Show the page; `signed` is the form that was refused, and the claim that it is about."""
    now = timezone.now()
    records = paginate(request, _records(organization))
    registered = _registered(organization)
    claims = [
        {
            "row": claim,
            "name": str(claim.pk),
            "is_proven": claim.proven_at is not None,
            "ends": claim.challenged_at + CHALLENGE_LIFETIME,
            "is_over": not claim.challenge or claim.challenged_at + CHALLENGE_LIFETIME <= now,
            "file_address": file_address(claim),
            "payload": _payload(claim),
            "form": signed[1] if signed and claim == signed[0] else SignedChallengeForm(prefix=f"claim-{claim.pk}"),
            "registered": registered.get(claim.entity_id),
        }
        for claim in _claims(organization)
    ]
    context = {
        "claims": claims,
        "form": form,
        "page": records,
        "apps": [{"record": record, "report": describe_trust(record, now)} for record in records],
        "anchors": [
            {"entity_id": anchor.entity_id, "rule": _ANCHOR_RULES[TrustAnchorRecord.Organizations(anchor.organizations)]}
            for anchor in TrustAnchorRecord.objects.filter(is_enabled=True)
        ],
        "issuer": settings.ISSUER,
        "typ": ENTITY_CLAIM_TYP,
        "registration_endpoint": settings.ISSUER + reverse("federation_registration"),
        "authorization_endpoint": endpoint_url("authorization_endpoint"),
        "is_closed": organization.state == Organization.State.CLOSED,
    }
    return page(request, "organizations/federation.html", organization, "federation", context)


def _claims(organization: Organization) -> QuerySet[EntityClaim]:
    """Return the claims, each with the app that came by it. One query."""
    app = Client.objects.filter(organization=organization, client_id=OuterRef("entity_id"))
    return EntityClaim.objects.filter(organization=organization).annotate(
        app_reference=Subquery(app.values("reference")[:1]), app_name=Subquery(app.values("name")[:1])
    )


def _records(organization: Organization) -> QuerySet[FederationRecord]:
    records = FederationRecord.objects.filter(client__organization=organization).exclude(client__state=Client.State.CLOSED)
    return records.select_related("client").order_by("entity_id")


def _registered(organization: Organization) -> dict[str, dict[str, Any]]:
    """Return by claimed entity what its app is registered as, through whom it is trusted, and its trust marks. One query."""
    claimed = EntityClaim.objects.filter(organization=organization).values("entity_id")
    rows = _records(organization).filter(entity_id__in=claimed).select_related(None)
    return {
        row.entity_id: {
            "kind": entity_kinds(row.entity_type),
            "entity_type": row.entity_type,
            "superiors": row.entities[1:],
            "marks": mark_rows(row.trust_marks),
        }
        for row in rows.only("entity_id", "entity_type", "entities", "trust_marks")
    }


def _payload(claim: EntityClaim) -> str:
    """Return the claims of the JWT that proves a claim, to be signed as they are."""
    ends = int((claim.challenged_at + CHALLENGE_LIFETIME).timestamp())
    return json.dumps({"iss": claim.entity_id, "aud": settings.ISSUER, "challenge": claim.challenge, "exp": ends}, indent=2)


@login_required
@require_POST
def entity_claim(request: HttpRequest, slug: str) -> HttpResponse:
    """Claim an entity, or ask for a new challenge."""
    organization = get_organization(request, slug, OWNER)
    form = EntityClaimForm(request.POST)
    back = reverse("organization_federation", args=[slug])
    if form.is_valid():
        try:
            with refusals_denied():
                return redirect(run_once(request, form, lambda: _claim(request, organization, form), otherwise=back))
        except TransitionRefused as refused:
            form.add_error("entity_id", refused.description)
    return _federation_page(request, organization, form)


def _claim(request: HttpRequest, organization: Organization, form: EntityClaimForm) -> str:
    claim = claim_entity(organization, form.cleaned_data["entity_id"], actor_for(request), now=timezone.now())
    if claim.proven_at is None:
        messages.success(request, _("Claimed. Prove it in one of the two ways below within seven days."))
    else:
        messages.info(request, _("Your organization has proven this entity already."))
    return reverse("organization_federation", args=[organization.slug])


@login_required
@require_POST
def entity_prove_by_signature(request: HttpRequest, slug: str, claim: int) -> HttpResponse:
    """Check a signed challenge."""
    organization, row = _get_claim(request, slug, claim)
    form = SignedChallengeForm(request.POST, prefix=f"claim-{row.pk}")
    if form.is_valid():
        try:
            with refusals_denied():
                prove_by_signature(row, form.cleaned_data["token"], actor_for(request), now=timezone.now())
        except TransitionRefused as refused:
            form.add_error("token", refused.description)
        else:
            messages.success(request, _proven(row))
            return redirect("organization_federation", slug)
    return _federation_page(request, organization, EntityClaimForm(), signed=(row, form))


@login_required
@require_POST
def entity_prove_by_file(request: HttpRequest, slug: str, claim: int) -> HttpResponse:
    """Check the file on the entity's host."""
    _organization, row = _get_claim(request, slug, claim)
    return do_and_return(
        request,
        lambda: prove_by_file(row, actor_for(request), now=timezone.now()),
        done=_proven(row),
        to=reverse("organization_federation", args=[slug]),
    )


def _get_claim(request: HttpRequest, slug: str, claim: int) -> tuple[Organization, EntityClaim]:
    organization = get_organization(request, slug, OWNER)
    row = get_object_or_404(EntityClaim, organization=organization, pk=claim)
    row.organization = organization
    return organization, row


def _proven(row: EntityClaim) -> str:
    return _("%(entity)s is proven. It belongs to your organization here.") % {"entity": row}


@login_required
@require_POST
def entity_give_up(request: HttpRequest, slug: str, claim: int) -> HttpResponse:
    """Give a claim up."""
    _organization, row = _get_claim(request, slug, claim)
    return do_and_return(
        request,
        lambda: give_up_claim(row, actor_for(request)),
        done=_("Gave up %(entity)s. Apps that are registered stay with your organization.") % {"entity": row},
        to=reverse("organization_federation", args=[slug]),
    )
