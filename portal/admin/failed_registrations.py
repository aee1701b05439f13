"""The page of registrations that failed."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from portal.admin.roles import may_read, needed_role
from portal.failed_registrations import STEPS, WAYS, find_failed_registrations, load_failed_registrations, read_question
from registry.models import User

PAGE: Final = 25


@require_safe
def failed_registrations_view(request: HttpRequest) -> HttpResponse:
    """Show what failed, newest first, as the filter asks."""
    from portal.admin.site import staff_site

    user: User = request.user  # type: ignore[assignment]
    if not may_read(user, "registrations"):
        raise PermissionDenied(needed_role(user, "registrations"))
    question = read_question(request.GET)
    page = Paginator(find_failed_registrations(question), PAGE).get_page(request.GET.get("page"))
    context = {
        **staff_site.each_context(request),
        "title": _("Failed registrations"),
        "question": question,
        "ways": WAYS,
        "steps": STEPS,
        "page": page,
        "items": load_failed_registrations(page.object_list),
    }
    return TemplateResponse(request, "admin/staff/failed_registrations.html", context)
