"""Members of an organization and invitations to it (threats.md R10)."""

from __future__ import annotations

from urllib.parse import quote

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from portal.access import actor_for, get_organization
from portal.forms.once import run_once
from portal.forms.organizations import InvitationForm, RoleForm
from portal.notices import mail_invitation
from portal.views.common import do_and_return, page, paginate, refusals_denied
from protocol.errors import TransitionRefused
from registry.labels import within_sentence
from registry.members import (
    accept_invitation,
    change_role,
    find_former_invitation,
    find_invitation,
    invite,
    remove_member,
    revoke_invitation,
)
from registry.models import Invitation, Membership, Organization
from registry.transitions import OWNER


@login_required
@require_GET
def organization_members(request: HttpRequest, slug: str) -> HttpResponse:
    """List members and open invitations."""
    organization = get_organization(request, slug)
    return _members_page(request, organization, InvitationForm())


def _members_page(request: HttpRequest, organization: Organization, form: InvitationForm) -> HttpResponse:
    members = organization.memberships.select_related("user").prefetch_related("user__authenticator_set").order_by("role", "user__email")
    invitations = organization.invitations.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now()).select_related(
        "invited_by"
    )
    rows = paginate(request, members)
    context = {"page": rows, "invitations": list(invitations), "form": form, "roles": Membership.Role.choices}
    return page(request, "members/list.html", organization, "members", context)


@login_required
@require_POST
def member_invite(request: HttpRequest, slug: str) -> HttpResponse:
    """Invite an address by mail."""
    organization = get_organization(request, slug, OWNER)
    form = InvitationForm(request.POST)
    back = reverse("organization_members", args=[slug])
    if form.is_valid():
        try:
            with refusals_denied():
                return redirect(run_once(request, form, lambda: _invite(request, organization, form), otherwise=back))
        except TransitionRefused as refused:
            form.add_error("email", refused.description)
    return _members_page(request, organization, form)


def _invite(request: HttpRequest, organization: Organization, form: InvitationForm) -> str:
    given = form.cleaned_data
    new = invite(organization, actor_for(request), email=given["email"], role=given["role"], now=timezone.now())
    mail_invitation(new, request_id=getattr(request, "request_id", ""))
    messages.success(request, _("Invited %(email)s. The link in the mail works once, for 72 hours.") % {"email": new.row.email})
    return reverse("organization_members", args=[organization.slug])


@login_required
@require_POST
def member_role(request: HttpRequest, slug: str, member: int) -> HttpResponse:
    """Give a member another role."""
    organization = get_organization(request, slug)
    membership = get_object_or_404(organization.memberships.select_related("user"), pk=member)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise Http404
    return do_and_return(
        request,
        lambda: change_role(membership, form.cleaned_data["role"], actor_for(request)),
        done=_("Changed the role of %(who)s.") % {"who": membership.user.email},
        to=reverse("organization_members", args=[slug]),
    )


@login_required
@require_POST
def member_remove(request: HttpRequest, slug: str, member: int) -> HttpResponse:
    """Remove a member, or leave."""
    organization = get_organization(request, slug)
    membership = get_object_or_404(organization.memberships.select_related("user"), pk=member)
    leaves = membership.user_id == request.user.pk
    members = reverse("organization_members", args=[slug])
    answer = do_and_return(
        request,
        lambda: remove_member(membership, actor_for(request)),
        done=_("You left %(name)s.") % {"name": organization} if leaves else _("Removed %(who)s.") % {"who": membership.user.email},
        to=members,
    )
    still_there = Membership.objects.filter(pk=member).exists()
    return redirect("organizations") if leaves and not still_there else answer


@login_required
@require_POST
def invitation_revoke(request: HttpRequest, slug: str, invitation: int) -> HttpResponse:
    """Withdraw an invitation."""
    organization = get_organization(request, slug)
    found = get_object_or_404(organization.invitations, pk=invitation)
    found.organization = organization
    return do_and_return(
        request,
        lambda: revoke_invitation(found, actor_for(request), now=timezone.now()),
        done=_("Withdrew the invitation of %(email)s.") % {"email": found.email},
        to=reverse("organization_members", args=[slug]),
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation to whoever has its link; the invited person accepts it."""
    found = find_invitation(token, timezone.now())
    if found is None:
        former = find_former_invitation(token)
        asking = _mail_for_another(former) if former else ""
        return render(request, "members/invitation_gone.html", {"invitation": former, "mail": asking}, status=404)
    context = {"invitation": found, "next": reverse("invitation", args=[token])}
    if request.method != "POST":
        return render(request, "members/invitation.html", context)
    if not request.user.is_authenticated:
        return redirect(f"{reverse('account_login')}?next={context['next']}")
    try:
        membership = accept_invitation(token, request.user, actor_for(request), now=timezone.now())
    except TransitionRefused as refused:
        return render(request, "members/invitation.html", {**context, "refusal": refused.description}, status=409)
    messages.success(request, _("Welcome to %(name)s.") % {"name": membership.organization})
    return redirect("organization", membership.organization.slug)


def _mail_for_another(former: Invitation) -> str:
    """Return the address of a prepared mail that asks for a new invitation (RFC 6068, 5).

    It is to nobody: who has the link need not have the addresses of members.
    """
    given = {"name": former.organization.legal_name, "role": within_sentence(former.get_role_display()), "email": former.email}
    subject = _("A new invitation to %(name)s") % given
    body = _(
        "Hello,\n\nmy invitation to join %(name)s as %(role)s does not work any more."
        " Please send me a new one to %(email)s; the page Members does it.\n\nThank you"
    )
    lines = (body % given).replace("\n", "\r\n")
    return f"mailto:?subject={quote(subject, safe='')}&body={quote(lines, safe='')}"
