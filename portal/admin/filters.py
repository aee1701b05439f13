"""List filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from registry.models import Client


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
