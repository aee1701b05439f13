"""What the staff pages about federations share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from federation.trust_anchors import clients_depending_on
from portal.admin.organizations import count_live_tokens
from portal.admin.rules import URL_ATTRIBUTES, GuardedAdmin
from protocol.constants import CLIENT_ID_LIMIT
from registry.models import Client

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

APPS_SHOWN: Final = 25
_AT_ONCE: Final = 1000


class FederationAdmin(GuardedAdmin):
    """A list of something about federations, and its pages."""

    area = "federation"


def entity_field(label: _StrOrPromise, help_text: _StrOrPromise = "") -> forms.CharField:
    """Return a field for an entity identifier; services say whether it is one."""
    widget = forms.TextInput(attrs=URL_ATTRIBUTES)
    return forms.CharField(label=label, help_text=help_text, max_length=CLIENT_ID_LIMIT, widget=widget)


def column(name: str, title: _StrOrPromise) -> Callable[[Any, Any], Any]:
    """Return what shows the field `name` as a column of a list under `title`; Django's own title is the field's name, in English."""

    @admin.display(description=title, ordering=name)
    def shown(_admin: Any, subject: Any) -> Any:
        """Return the value, or the word for a choice."""
        word = getattr(subject, f"get_{name}_display", None)
        return word() if word else getattr(subject, name)

    return shown


class ValueFilter(admin.SimpleListFilter):
    """A filter by the values of a field, each with a word of ours; the title of Django's own is the field's name, in English."""

    words: ClassVar[Mapping[str, _StrOrPromise]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, _StrOrPromise]]:  # noqa: ARG002
        """Return the values."""
        return list(self.words.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Filter; an unknown value filters nothing."""
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value in self.words else queryset


@dataclass(frozen=True, slots=True)
class Carried:
    """The apps whose chain goes through an entity, by organization."""

    every: Sequence[Client]

    @property
    def shown(self) -> Sequence[Client]:
        """Return those that a page lists."""
        return self.every[:APPS_SHOWN]

    @property
    def more(self) -> int:
        """Return how many a page does not list."""
        return len(self.every) - len(self.shown)

    @property
    def organizations(self) -> int:
        """Return how many organizations they belong to."""
        return len({app.organization_id for app in self.every})

    @property
    def ending(self) -> Sequence[Client]:
        """Return those that have trust to lose."""
        return [app for app in self.every if app.trust not in (Client.Trust.NONE, Client.Trust.BROKEN)]

    def count_tokens(self) -> int:
        """Return how many access tokens of them are live. One query for each thousand."""
        numbers = [app.pk for app in self.every]
        parts = (numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE))
        return sum(count_live_tokens(application__in=part) for part in parts)


def carried_by(entity_id: str) -> Carried:
    """Return what an entity carries. One query."""
    return Carried(clients_depending_on(entity_id))
