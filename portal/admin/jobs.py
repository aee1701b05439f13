"""The page of periodic jobs: how each went, when it is due, and running one now."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from portal.admin.base import staff_actor
from portal.admin.roles import may_act, may_read, needed_role
from portal.celery import app
from portal.job_records import scheduled_jobs
from protocol.errors import TransitionRefused
from registry.jobs import JobStanding, list_jobs, run_now
from registry.models import User

# The state of a job: badge and word.
STATES: Final = {
    "ok": ("ok", gettext_lazy("Working")),
    "failed": ("blocked", gettext_lazy("Failed")),
    "running": ("pending", gettext_lazy("Running")),
    "overdue": ("expiring", gettext_lazy("Overdue")),
    "never": ("unknown", gettext_lazy("Never ran")),
}


def jobs_in_trouble(user: User) -> list[JobStanding]:
    """Return the jobs that failed last or are overdue, for the index. At most one query."""
    if not may_read(user, "jobs"):
        return []
    return [standing for standing in list_jobs(scheduled_jobs(), timezone.now()) if standing.state in ("failed", "overdue")]


@require_safe
def jobs_view(request: HttpRequest) -> HttpResponse:
    """Show every job of the schedule."""
    from portal.admin.site import staff_site

    user: User = request.user  # type: ignore[assignment]
    if not may_read(user, "jobs"):
        raise PermissionDenied(needed_role(user, "jobs"))
    standings = list_jobs(scheduled_jobs(), timezone.now())
    context = {
        **staff_site.each_context(request),
        "title": _("Jobs"),
        "jobs": [(standing, *STATES[standing.state]) for standing in standings],
        "may_act": may_act(user, "jobs"),
    }
    return TemplateResponse(request, "admin/staff/jobs.html", context)


@require_http_methods(["GET", "POST"])
def run_job_view(request: HttpRequest, name: str) -> HttpResponse:
    """Ask, and send the message that runs a job."""
    from portal.admin.site import staff_site

    user: User = request.user  # type: ignore[assignment]
    if not may_act(user, "jobs"):
        raise PermissionDenied(needed_role(user, "jobs", acting=True))
    job = next((job for job in scheduled_jobs() if job.name == name), None)
    if job is None:
        raise Http404
    if request.method != "POST":
        back = reverse("admin:jobs")
        frame = {"title": _("Run %(name)s now") % {"name": name}, "crumbs": [(_("Jobs"), back)], "back": back, "button": _("Run it")}
        words = _("The worker does what it does by the clock, once more. Running a job twice does no harm.")
        return TemplateResponse(request, "admin/staff/confirm.html", {**staff_site.each_context(request), **frame, "text": words})
    try:
        run_now(job, staff_actor(request), app.send_task, now=timezone.now())
    except TransitionRefused as error:
        messages.error(request, error.description)
    else:
        messages.success(
            request, _("The worker is told to run %(name)s. Its result appears here within seconds, if a worker runs.") % {"name": name}
        )
    return redirect("admin:jobs")
