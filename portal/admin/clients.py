"""Apps: the list, their page, their steps and their switches."""

from __future__ import annotations

from typing import Any, Final

from allauth.account.decorators import reauthentication_required
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods

from portal.admin.base import staff_actor
from portal.admin.federation.records import federation_context
from portal.admin.filters import Health, Idle, OrganizationFilter
from portal.admin.organizations import count_live_tokens
from portal.admin.presentation import events_about, metadata_rows, timeline
from portal.admin.roles import may_act
from portal.admin.site import staff_site
from portal.admin.steps import Step, StepForm, StepsAdmin
from portal.templatetags.portal import state_badge, when
from protocol.errors import TransitionRefused
from registry.actors import Actor
from registry.credentials import live_secrets
from registry.entitlements import scopes_waiting_for_approval
from registry.health import describe_access
from registry.lifecycle import assess_metadata, change_client, set_client_switch
from registry.lifecycle.switches import SWITCHES
from registry.models import CannedReason, Client
from registry.review_checks import CLIENT_CHECKS, check_client, checks_of_client, results_of
from registry.transitions import CLIENT

STEPS: Final = {
    "suspend": Step(
        "Suspend the app",
        "Suspend",
        "Every token of the app ends at once, and it gets no new ones until you reinstate it.",
        danger=True,
        done="The app is suspended; every token of it has ended.",
        canned=CannedReason.Step.SUSPEND,
    ),
    "reinstate": Step(
        "Reinstate the app",
        "Reinstate",
        "The app can get tokens again, with the secrets it has. Tokens that ended stay ended.",
        done="The app is reinstated.",
    ),
    "close": Step(
        "Close the app",
        "Close for good",
        "Every token of the app ends at once. A closed app cannot be opened again, and its client ID is never used again.",
        danger=True,
        typed_name=True,
        done="The app is closed.",
    ),
}

SWITCH_WORDS: Final = {
    "accepts_token_endpoint_audience": (
        "Accepts the token endpoint as audience",
        "For old software that puts the address of the token endpoint into its signed assertion instead of the issuer.",
    ),
    "is_resource_server": (
        "Is a resource server",
        "It may introspect: ask about every token of this server, of whichever organization.",
    ),
}


@admin.register(Client, site=staff_site)
class ClientAdmin(StepsAdmin):
    """Apps. Nobody of staff makes or sees a secret, and no state is edited but by a step."""

    label = "Apps"
    steps = STEPS
    transitions = CLIENT
    object_template = "admin/staff/client.html"
    list_display = ("shown_name", "organization", "shown_stage", "shown_state", "shown_use")
    list_filter = ("state", "stage", "source", "trust", Health, Idle, "is_resource_server", OrganizationFilter)
    csv_extra = ("client_id", "source", "trust", "created")
    list_select_related = ("organization",)
    search_fields = (
        "name",
        "client_id",
        "organization__legal_name",
        "organization__registration_number",
        "organization__memberships__user__email",
    )
    search_help_text = "Name, client ID, or name, registration number or member's e-mail address of the organization"

    @admin.display(description="App", ordering="name")
    def shown_name(self, subject: Client) -> Any:
        """Return name and client identifier."""
        return format_html('{}<span class="sub">{}</span>', subject.name or "-", subject.client_id)

    @admin.display(description="Last used", ordering="last_used_at")
    def shown_use(self, subject: Client) -> Any:
        """Return when the app was last used."""
        return when(subject.last_used_at)

    @admin.display(description="Stage", ordering="stage")
    def shown_stage(self, subject: Client) -> Any:
        """Return the stage as badge."""
        return state_badge(subject.stage)

    @admin.display(description="State", ordering="state")
    def shown_state(self, subject: Client) -> Any:
        """Return the state as badge."""
        return state_badge(subject.state)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        """Load the organization, which the gate asks for, and what breaks today's rules."""
        return super().get_queryset(request).select_related("organization", "created_by", "failed_check")

    def more_urls(self) -> list[URLPattern]:
        """Add the switches."""
        view = require_http_methods(["GET", "POST"])(reauthentication_required(self.switch_view))
        switch = path("<int:pk>/switches/<slug:name>/", self.admin_site.admin_view(view), name=self.url_name("switch"))
        return [*super().more_urls(), switch]

    def run_step(self, subject: Client, name: str, actor: Actor, form: StepForm) -> None:
        """Make the step."""
        change_client(subject, name, actor, now=timezone.now(), reason=form.cleaned_data["reason"])

    def step_context(self, subject: Client, name: str) -> dict[str, Any]:
        """Return how many tokens would end."""
        return {"tokens_count": count_live_tokens(application=subject)} if name != "reinstate" else {}

    def object_context(self, request: HttpRequest, subject: Client) -> dict[str, Any]:
        """Return everything about the app but its secrets."""
        now = timezone.now()
        access = describe_access(subject, now)
        declared = subject.declared_metadata or subject.metadata
        decisions = assess_metadata(
            declared, subject.organization, stage=subject.stage, now=now, restrictions=subject.restrictions
        ).decisions
        secrets = live_secrets(subject, now).defer("digest", "tail") if subject.uses_secret else []
        because = dict.fromkeys(subject.metadata.keys() - declared.keys(), "Not declared; this is the default.")
        because |= {made.member: made.sentence for made in decisions}
        return {
            "access": access,
            "diff": metadata_rows(declared, subject.metadata, because),
            "offered": self.offered(request, subject),
            "switches": self._switches(request, subject),
            "checks": results_of(checks_of_client(subject, CLIENT_CHECKS), check_client(subject)),
            "check": getattr(subject, "failed_check", None),
            "entitlements": subject.entitlements.all(),
            "waiting_scopes": sorted(scopes_waiting_for_approval(subject, now)),
            "secrets": secrets,
            "requests": subject.change_requests.select_related("reviewer").order_by("-submitted_at")[:10],
            "events": timeline(events_about(("client", str(subject.reference)))),
            **federation_context(subject),
        }

    def _switches(self, request: HttpRequest, subject: Client) -> list[dict[str, Any]]:
        roles = staff_actor(request).roles(subject.organization)
        may = may_act(request.user, "switches")  # type: ignore[arg-type]
        return [
            {
                "name": name,
                "title": SWITCH_WORDS[name][0],
                "text": SWITCH_WORDS[name][1],
                "on": getattr(subject, name),
                "url": self.url_to("switch", subject.pk, name) if may and not roles.isdisjoint(allowed) else "",
            }
            for name, allowed in SWITCHES.items()
        ]

    def switch_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Ask before a switch is set, and set it."""
        subject = self.get_subject(request, pk)
        if name not in SWITCHES:
            raise Http404
        if not may_act(request.user, "switches"):  # type: ignore[arg-type]
            self.require_acting(request)
        title, text = SWITCH_WORDS[name]
        value = not getattr(subject, name)
        if request.method != "POST":
            crumbs = [(str(subject), self.url_to("change", pk))]
            return self.page(request, "admin/staff/switch.html", title, text=text, value=value, subject=subject, crumbs=crumbs)
        try:
            set_client_switch(subject, name, request.POST.get("value") == "on", staff_actor(request), now=timezone.now())
        except TransitionRefused as error:
            messages.error(request, error.description)
        else:
            messages.success(request, f"{title}: {'on' if request.POST.get('value') == 'on' else 'off'}.")
        return redirect(self.url_to("change", pk))
