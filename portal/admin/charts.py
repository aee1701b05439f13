"""The page of charts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from portal.statistics import chart_endings, chart_registrations


@require_safe
def charts_view(request: HttpRequest) -> HttpResponse:
    """Show registrations by way and week, and what ends ahead. Every staff role may look."""
    from portal.admin.site import staff_site

    now = timezone.now()
    context = {**staff_site.each_context(request), "title": _("Charts"), "charts": [chart_registrations(now), chart_endings(now)]}
    return TemplateResponse(request, "admin/staff/charts.html", context)
