"""What every staff page has in common: read-only lists, pages of one object, and the actor of a service call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from portal.access import source_address, user_agent_family
from portal.admin.lists import CsvList
from portal.admin.roles import may_act, may_read, needed_role
from registry.actors import Actor, person

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

_LONGEST_NUMBER = 18
Row = tuple[str, Any]
Crumb = tuple[str, str]


def staff_actor(request: HttpRequest) -> Actor:
    """Return the signed-in person as actor of a service call, as staff and never as a partner."""
    return person(
        request.user,  # type: ignore[arg-type]
        request_id=getattr(request, "request_id", ""),
        source_address=source_address(request),
        user_agent_family=user_agent_family(request.headers.get("User-Agent", "")),
        staff=True,
    )


class StaffAdmin(CsvList, admin.ModelAdmin):
    """A list and a page per object, read only. Whatever changes something is a page of its own that calls a service.

    Django's action log is not written: the audit trail is what counts, and services write it.
    """

    area: ClassVar[str] = "review"
    label: ClassVar[_StrOrPromise] = ""
    actions = None
    list_per_page = 25
    show_full_result_count = False
    change_list_template = "admin/staff/change_list.html"
    object_template: ClassVar[str] = "admin/staff/object.html"

    @property
    def media(self) -> forms.Media:
        """Return no scripts: Django's are for forms and actions that these pages do not have, and weigh three times the page."""
        return forms.Media()

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Say whether the person may read this area."""
        return may_read(request.user, self.area)  # type: ignore[arg-type]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Say whether the person may read this area."""
        return self.has_module_permission(request)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list that an address asks for. Raises IncorrectLookupParameters for null characters: PostgreSQL has none."""
        if any("\0" in text for name, values in request.GET.lists() for text in (name, *values)):
            raise IncorrectLookupParameters
        return super().get_changelist_instance(request)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Say whether an address may narrow the list by `lookup`: by the filters that it offers, never by a column that no page shows.

        Django allows every column, so that a list would tell the digest of a password letter by letter.
        """
        column = lookup.partition("__")[0]
        if lookup in {getattr(one, "parameter_name", "") for one in self.list_filter}:
            return True
        if column not in {"pk", *(name for field in self.opts.get_fields() for name in (field.name, getattr(field, "attname", "")))}:
            return super().lookup_allowed(lookup, value, request)  # no column at all
        offered = [one for one in self.list_filter if isinstance(one, str)]
        is_offered = lookup in {f"{name}{ending}" for name in offered for ending in ("", "__exact", "__isnull", "__id__exact")}
        # SQLite cannot be asked for a larger number of a row, and there is none.
        return is_offered and (not self.opts.get_field(column).is_relation or len(value) <= _LONGEST_NUMBER)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Refuse: rows are made by services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Refuse: rows are changed by services."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Refuse: what is in the trail stays."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Return the list, the page of one object, and what a subclass adds."""
        return [
            path("", self.admin_site.admin_view(self.changelist_view), name=self.url_name("changelist")),
            *self.csv_urls(),
            *self.more_urls(),
            path("<int:pk>/", self.admin_site.admin_view(require_safe(self.object_view)), name=self.url_name("change")),
        ]

    def more_urls(self) -> list[URLPattern]:
        """Return the pages that this admin adds."""
        return []

    def url_name(self, what: str) -> str:
        """Return the name of one of this admin's URLs."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{what}"

    def url_to(self, what: str, *args: Any) -> str:
        """Return the address of one of this admin's pages."""
        return reverse(f"{self.admin_site.name}:{self.url_name(what)}", args=args)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list, with links to what else can be done here."""
        taken = [(_("Download CSV"), f"{self.url_to('csv')}?{request.GET.urlencode()}")] if self.has_csv else []
        if not self.has_view_permission(request):
            raise PermissionDenied(needed_role(request.user, self.area))  # type: ignore[arg-type]
        titles = {"title": self.label, "tools": [*self.tools(request), *taken]}
        return super().changelist_view(request, {**titles, **(extra_context or {})})

    def tools(self, request: HttpRequest) -> Sequence[Crumb]:  # noqa: ARG002
        """Return label and address of what stands above the list."""
        return ()

    def object_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show one object."""
        return self.object_page(request, self.get_subject(request, pk))

    def object_page(self, request: HttpRequest, subject: Any, **more: Any) -> HttpResponse:
        """Return the page of an object, with what a form on it was answered."""
        context = {"subject": subject, **self.object_context(request, subject), **more}
        return self.page(request, self.object_template, str(subject), **context)

    def get_subject(self, request: HttpRequest, pk: int) -> Any:
        """Return the object `pk` for somebody who may read it. Raises PermissionDenied or Http404."""
        if not self.has_view_permission(request):
            raise PermissionDenied(needed_role(request.user, self.area))  # type: ignore[arg-type]
        return get_object_or_404(self.get_queryset(request), pk=pk)

    def object_context(self, request: HttpRequest, subject: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return what the page of `subject` shows besides it."""
        return {"rows": self.rows(subject)}

    def rows(self, subject: Any) -> list[Row]:
        """Return label and value of what the plain page shows."""
        return [(str(field.verbose_name).capitalize(), self.shown(subject, field)) for field in self.opts.fields]

    def shown(self, subject: Any, field: models.Field[Any, Any]) -> Any:
        """Return one value as the plain page shows it."""
        display = getattr(subject, f"get_{field.name}_display", None)
        return display() if display else getattr(subject, field.name)

    def may_act(self, request: HttpRequest) -> bool:
        """Say whether pages offer the person to change something here."""
        return may_act(request.user, self.area)  # type: ignore[arg-type]

    def require_acting(self, request: HttpRequest) -> None:
        """Refuse a page that changes something to those who only read. Raises PermissionDenied."""
        if not self.may_act(request):
            raise PermissionDenied(needed_role(request.user, self.area, acting=True))  # type: ignore[arg-type]

    def page(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        """Return a staff page below this admin's list."""
        crumbs = [(str(self.label), self.url_to("changelist")), *context.pop("crumbs", ())]
        frame = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, "crumbs": crumbs}
        return TemplateResponse(request, template, {**frame, **context})
