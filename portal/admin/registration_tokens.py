"""Initial access tokens of all organizations: what staff see of them, make for a partner, and end."""

from __future__ import annotations

from typing import Any, Final

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from dcr.initial_access_tokens import NewInitialAccessToken, create_initial_access_token, revoke_initial_access_token
from dcr.models import InitialAccessToken, RefusedRegistration, RegistrationAccessToken, RegistrationProfile
from portal.admin.base import Crumb, staff_actor
from portal.admin.filters import OrganizationFilter
from portal.admin.presentation import events_about, timeline
from portal.admin.roles import may_act, needed_role
from portal.admin.rules import GuardedAdmin, OrganizationField
from portal.admin.site import staff_site
from portal.forms.once import run_once
from portal.forms.tokens import TokenForm
from portal.templatetags.portal import state_badge
from portal.views.token_rows import describe_token, tokens_to_show
from portal.views.tokens import shown_once
from protocol.errors import MetadataRefused, TransitionRefused
from registry.models import Client, Membership

APPS_SHOWN: Final = 25


class StaffTokenForm(TokenForm):
    """The partners' form, and what only staff may say."""

    organization = OrganizationField()
    stage = forms.ChoiceField(
        label="Stage", choices=Client.Stage.choices, help_text="Apps of a live token are live at once: nobody reviews them one by one."
    )
    profile = forms.ModelChoiceField(
        label="Profile",
        queryset=RegistrationProfile.objects.all(),
        to_field_name="name",
        required=False,
        help_text="A named policy that its apps keep to.",
    )

    field_template = "admin/staff/field.html"
    field_order = ("organization", "label", "stage", "profile")


class StandingFilter(admin.SimpleListFilter):
    """Tokens by whether they register something."""

    title = "state"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:  # noqa: ARG002
        """Return the choices."""
        return [("open", "Open"), ("unused", "Never used"), ("unkept", "Nobody keeps it"), ("over", "Used up, expired or revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter."""
        over = Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now()) | Q(uses__gte=F("uses_limit"))
        kept = Q(made_by_staff=True) | Q(kept_by__role=Membership.Role.OWNER) | Q(kept_by_app__state=Client.State.ACTIVE)
        wanted = {"open": kept & ~over, "unused": Q(uses=0), "unkept": ~kept & ~over, "over": over}.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(wanted)


class RefusedFilter(admin.SimpleListFilter):
    """Tokens with refused attempts."""

    title = "refused attempts"
    parameter_name = "refused"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:  # noqa: ARG002
        """Return the choices."""
        return [("yes", "Some"), ("no", "None")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter."""
        if self.value() not in ("yes", "no"):
            return queryset
        refused = Exists(RefusedRegistration.objects.filter(token=OuterRef("pk")))
        return queryset.filter(refused if self.value() == "yes" else ~refused)


@admin.register(InitialAccessToken, site=staff_site)
class InitialAccessTokenAdmin(GuardedAdmin):
    """Tokens with which software registers apps."""

    label = "Initial access tokens"
    # Reviewers end tokens and never make one: they see no secret (portal.md 4.1).
    area = "tokens"
    area_of_making = "rules"
    list_display = ("shown_label", "organization", "shown_standing", "shown_uses", "shown_end")
    list_filter = (StandingFilter, RefusedFilter, OrganizationFilter, "stage", "profile")
    search_fields = ("label", "tail", "organization__legal_name", "organization__slug")
    search_help_text = "Label, last four characters, or organization"

    def get_queryset(self, request: HttpRequest) -> QuerySet[InitialAccessToken]:  # noqa: ARG002
        """Load what pages say of a token."""
        return tokens_to_show()

    @admin.display(description="Token", ordering="label")
    def shown_label(self, subject: InitialAccessToken) -> str:
        """Return label and tail."""
        return format_html('{}<span class="sub mono">…{}</span>', subject.label, subject.tail)

    @admin.display(description="State")
    def shown_standing(self, subject: InitialAccessToken) -> str:
        """Return stage and whether it registers something as badges, and why not."""
        token = describe_token(subject, timezone.now())
        why = format_html('<span class="sub">{}</span>', token.why) if token.why else ""
        return format_html("{} {}{}", state_badge(subject.stage), state_badge(token.standing), why)

    @admin.display(description="Uses", ordering="uses")
    def shown_uses(self, subject: InitialAccessToken) -> str:
        """Return how many apps it registered, and how many refused attempts are kept."""
        refusals = subject.refusals  # type: ignore[attr-defined]
        return format_html('{} of {}<span class="sub">{} refused</span>', subject.uses, subject.uses_limit, refusals or "none")

    @admin.display(description="Ends", ordering="expires_at")
    def shown_end(self, subject: InitialAccessToken) -> str:
        """Return the day on which it ends; its page says more."""
        return f"{subject.expires_at:%-d %b %Y}"

    def more_urls(self) -> list[URLPattern]:
        """Add the form of a new token, which asks for the password before it is filled in, and the page that ends one."""
        new = reauthentication_required(require_http_methods(["GET", "POST"])(self.new_view))
        return [
            path("new/", self.admin_site.admin_view(new), name=self.url_name("add")),
            self.route("<int:pk>/revoke/", self.revoke_view, "revoke"),
        ]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:
        """Link the form of a new token."""
        return (("Make a token", self.url_to("add")),) if may_act(request.user, self.area_of_making) else ()  # type: ignore[arg-type]

    def object_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what a token allows, what registered with it and what was refused."""
        subject: InitialAccessToken = self.get_subject(request, pk)
        registered = RegistrationAccessToken.objects.filter(initial_access_token=subject).select_related("client")
        apps = Paginator(registered.order_by("-client__created", "-pk"), APPS_SHOWN)
        context = {
            "subject": subject,
            "token": describe_token(subject, timezone.now()),
            "page": apps.get_page(request.GET.get("page")),
            "refused": list(subject.refused.all()),
            "revoke_url": self.url_to("revoke", pk) if self.may_act(request) and subject.revoked_at is None else "",
            "events": timeline(events_about(("initialaccesstoken", str(pk)))),
        }
        return self.page(request, "admin/staff/initial_access_token.html", str(subject), **context)

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """Make a token for an organization and show its value, in this answer and never again."""
        if not may_act(request.user, self.area_of_making):  # type: ignore[arg-type]
            raise PermissionDenied(needed_role(request.user, self.area_of_making, acting=True))  # type: ignore[arg-type]
        form = StaffTokenForm(request.POST if request.method == "POST" else None)
        made: list[NewInitialAccessToken] = []

        def make() -> str:
            given, now = form.cleaned_data, timezone.now()
            terms = form.terms(now, stage=given["stage"], profile=given["profile"])
            made.append(create_initial_access_token(given["organization"], staff_actor(request), terms, now=now))
            return self.url_to("change", made[0].row.pk)

        if form.is_bound and form.is_valid():
            try:
                address = run_once(request, form, make, otherwise=self.url_to("changelist"))
            except MetadataRefused as refused:
                form.show_findings(refused.findings)
            except TransitionRefused as refused:
                form.refuse(refused.description, "organization")
            else:
                return self._shown_once(request, made, address)
        return self.page(request, "admin/staff/initial_access_token_new.html", "Make a token", form=form)

    def _shown_once(self, request: HttpRequest, made: list[NewInitialAccessToken], address: str) -> HttpResponse:
        if not made:
            messages.warning(request, "This token was shown already. If its value is lost, revoke it and make another one.")
            return redirect(address)
        return self.page(request, "admin/staff/initial_access_token_shown.html", "New token", **shown_once(made[0]), back=address)

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and end a token."""
        subject: InitialAccessToken = self.get_subject(request, pk)

        def change() -> str:
            revoke_initial_access_token(subject, staff_actor(request), now=timezone.now())
            return "The token is revoked."

        page = {"title": "Revoke the token", "button": "Revoke it", "then": self.url_to("change", pk)}
        text = "It registers nothing any more, at once and for good. The apps that it registered stay as they are."
        return self.confirm(request, subject, change, text=text, **page)
