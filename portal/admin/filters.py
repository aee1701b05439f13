"""List filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from registry.models import Client, ClientCheck, ClientKeySet, ClientSecret, Membership
from registry.orphans import orphaned_organizations
from registry.reminders import FIRST_TOLD_BEFORE

IDLE_AFTER: Final = timedelta(days=90)
Question = Callable[[datetime], Q]


class TextFilter(admin.SimpleListFilter):
    """A filter that people type into, for values too many to list."""

    template = "admin/staff/text_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:  # noqa: ARG002
        """Return something, or Django would not show the filter."""
        return [("", "")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Give the template the other filters, which the form keeps."""
        kept = {name: values for name, values in changelist.params.items() if name != self.parameter_name}
        yield {"kept": kept.items(), "value": self.value() or "", "name": self.parameter_name, "label": self.title}


class OrganizationFilter(TextFilter):
    """Rows of organizations whose name contains the text, or whose short name it is."""

    title = "organization"
    parameter_name = "org"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter."""
        if not (text := (self.value() or "").strip()):
            return queryset
        return queryset.filter(Q(organization__legal_name__icontains=text) | Q(organization__slug=text))


class EventFilter(TextFilter):
    """Events whose name starts with the text, such as client. or org.approved."""

    title = "event"
    parameter_name = "event_name"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter."""
        text = (self.value() or "").strip()
        return queryset.filter(event__startswith=text) if text else queryset


class CountryFilter(TextFilter):
    """Organizations of one country."""

    title = "country"
    parameter_name = "in"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter."""
        text = (self.value() or "").strip()
        return queryset.filter(country__iexact=text) if text else queryset


class HasLiveApps(admin.SimpleListFilter):
    """Organizations with live apps, or without."""

    title = "live apps"
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:  # noqa: ARG002
        """Return the choices."""
        return [("yes", "Has live apps"), ("no", "Has none")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter."""
        live = Client.objects.filter(stage=Client.Stage.LIVE).exclude(state=Client.State.CLOSED).values("organization")
        if self.value() == "yes":
            return queryset.filter(pk__in=live)
        return queryset.exclude(pk__in=live) if self.value() == "no" else queryset


class Facts(admin.SimpleListFilter):
    """A filter over facts that no column says: `facts` maps a choice to its words and the condition as of now."""

    facts: ClassVar[dict[str, tuple[str, Question]]] = {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """Return the choices."""
        return [(name, words) for name, (words, _) in self.facts.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter; an unknown choice filters nothing."""
        known = self.facts.get(self.value() or "")
        return queryset.filter(known[1](timezone.now())) if known else queryset


def _without_second_step(now: datetime) -> Q:  # noqa: ARG001
    second_step = Authenticator.objects.filter(user=OuterRef("user"), type__in=("totp", "webauthn"))
    needing = Membership.objects.filter(role__in=(Membership.Role.OWNER, Membership.Role.DEVELOPER), user__is_active=True)
    return Q(pk__in=needing.filter(~Exists(second_step)).values("organization"))


class MfaGaps(Facts):
    """Organizations with an owner or developer who signs in with one step."""

    title = "two-step sign-in"
    parameter_name = "mfa"
    facts = {
        "gaps": ("An owner or developer is without", _without_second_step),
        "complete": ("All have it", lambda now: ~_without_second_step(now)),
    }


class Orphaned(Facts):
    """Organizations that nobody leads."""

    title = "owners"
    parameter_name = "orphaned"
    facts = {"yes": ("No owner can sign in", lambda now: Q(pk__in=orphaned_organizations().values("pk")))}


class InvitationState(Facts):
    """What became of invitations."""

    title = "state"
    parameter_name = "state"
    facts = {
        "open": ("Open", lambda now: Q(accepted_at=None, revoked_at=None, expires_at__gt=now)),
        "expired": ("Expired", lambda now: Q(accepted_at=None, revoked_at=None, expires_at__lte=now)),
        "accepted": ("Accepted", lambda now: Q(accepted_at__isnull=False)),
        "revoked": ("Withdrawn", lambda now: Q(revoked_at__isnull=False)),
    }


def _secrets(now: datetime) -> QuerySet[ClientSecret]:
    return ClientSecret.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), client=OuterRef("pk"))


def _needs_secret() -> Q:
    return Q(metadata__token_endpoint_auth_method__startswith="client_secret_")


def _secret_ends(now: datetime) -> Q:
    """Return the condition for apps whose last secret ends soon."""
    lasting = _secrets(now).filter(Q(expires_at=None) | Q(expires_at__gt=now + FIRST_TOLD_BEFORE))
    return _needs_secret() & Q(Exists(_secrets(now))) & ~Q(Exists(lasting))


class Health(Facts):
    """Apps by what is wrong with them."""

    title = "health"
    parameter_name = "health"
    facts = {
        "rules": ("Breaks today's rules", lambda now: Q(Exists(ClientCheck.objects.filter(client=OuterRef("pk"))))),
        "keys": ("Keys cannot be fetched", lambda now: Q(pk__in=ClientKeySet.objects.exclude(failure="").values("client"))),
        "trust": ("Trust stale, in doubt or broken", lambda now: Q(trust__in=("stale", "suspect", "broken"))),
        "no_secret": ("Has no secret that works", lambda now: _needs_secret() & ~Q(Exists(_secrets(now)))),
        "expiring": ("Last secret ends within 30 days", _secret_ends),
    }


class Idle(Facts):
    """Apps that nobody used for long."""

    title = "use"
    parameter_name = "use"
    facts = {
        "idle": (
            "Not used for 90 days",
            lambda now: Q(last_used_at__lt=now - IDLE_AFTER) | Q(last_used_at=None, created__lt=now - IDLE_AFTER),
        ),
        "used": ("Used within 90 days", lambda now: Q(last_used_at__gte=now - IDLE_AFTER)),
    }
