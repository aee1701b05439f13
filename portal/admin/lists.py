"""Lists of the staff pages as CSV files (portal.md 5.16)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import label_for_field
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from portal.csv_export import csv_response
from registry.audit_search import note_export

_CHUNK: Final = 1000


class CsvList(admin.ModelAdmin):
    """Adds a CSV file to a list: its rows as they are filtered, its columns with plain values, and `csv_extra` beside them."""

    has_csv: ClassVar[bool] = True
    csv_extra: ClassVar[Sequence[str]] = ()

    def csv_urls(self) -> list[URLPattern]:
        """Return the address of the file."""
        view = self.admin_site.admin_view(require_GET(self.csv_view))
        name = f"{self.opts.app_label}_{self.opts.model_name}_csv"
        return [path("csv/", view, name=name)] if self.has_csv else []

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """Send every row that the list would show; that it was taken is in the trail."""
        from portal.admin.base import staff_actor

        if not self.has_view_permission(request):
            raise PermissionDenied("Your role does not open this page.")
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return redirect(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist")
        model = str(self.opts.model_name)
        asked = {name: ", ".join(values)[:200] for name, values in request.GET.lists()}
        note_export(staff_actor(request), "list.exported", {"list": model, **asked})
        names = [*self.get_list_display(request), *self.csv_extra]
        header = [str(label_for_field(name, self.model, self)) for name in names]
        filename = f"credence-{model}-{timezone.now():%Y%m%d-%H%M%S}.csv"
        response = csv_response(filename, header, self._csv_rows(rows, [str(name) for name in names]))
        response["Cache-Control"] = "no-store"
        return response

    def _csv_rows(self, rows: models.QuerySet[Any], names: Iterable[str]) -> Iterator[list[Any]]:
        names = list(names)
        for row in rows.iterator(chunk_size=_CHUNK):
            yield [self._csv_value(row, name) for name in names]

    def _csv_value(self, row: Any, name: str) -> Any:
        """Return the plain value of a column: that of the field it shows or is ordered by, else its words without markup."""
        if name == "__str__":
            return str(row)
        method = getattr(self, name, None)
        field = name if method is None else getattr(method, "admin_order_field", "")
        try:
            self.opts.get_field(str(field))
            value = getattr(row, str(field))
        except FieldDoesNotExist:
            value = method(row) if callable(method) else getattr(row, name, "")
            if isinstance(value, SafeString):  # markup of ours; what else looks like markup is what people wrote
                value = unescape(strip_tags(value))
        return ", ".join(map(str, value)) if isinstance(value, list) else value
