"""The staff pages: an admin site of our own. Django's default one, where the toolkit registers raw forms, is not mounted."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url
from django.urls import URLPattern, URLResolver, include, path, re_path, reverse
from django.utils import timezone

from portal.admin.charts import charts_view
from portal.admin.failed_registrations import failed_registrations_view
from portal.admin.jobs import jobs_in_trouble, jobs_view, run_job_view
from portal.admin.queue import queue_counts, queue_view
from portal.admin.roles import may_read
from portal.statistics import count_endings
from registry.models import User

View = Callable[..., HttpResponseBase]

# How the index and the side bar group the pages.
_GROUPS = (
    ("Partners", ("organization", "client", "changerequest", "initialaccesstoken", "membership", "invitation")),
    ("Federation", ("registrationrequest", "trustanchorrecord", "refusedentity", "organizationrule", "trustmarkrule")),
    ("Rules", ("policyrecord", "registrationprofile", "scope", "softwarestatementissuer", "statementorganization", "cannedreason")),
    ("Server", ("banner", "signingkey", "user", "notice", "auditevent")),
)
# Pages that are no list of a model: where their group begins if it is missing, the group, the area, the name of the URL, and the label.
_PAGES = (
    (0, "Review", "review", "queue", "Review queue"),
    (0, "Review", "registrations", "failed_registrations", "Failed registrations"),
    (0, "Review", "registrations", "charts", "Charts"),
    (9, "Server", "jobs", "jobs", "Jobs"),
)


class StaffSite(AdminSite):
    """Pages for reviewers, operators, auditors and administrators. Sign-in is the site's own, with its second factors."""

    site_header = "Credence staff"
    site_title = "Credence staff"
    index_title = "Staff"
    index_template = "admin/staff/index.html"
    empty_value_display = "-"

    def has_permission(self, request: HttpRequest) -> bool:
        """Say whether the person is staff."""
        return bool(request.user.is_active and request.user.is_staff)

    def admin_view(self, view: View, cacheable: bool = False) -> Any:
        """Return `view` for staff: others are asked to sign in, or told that this is not for them."""
        guarded = super().admin_view(view, cacheable)

        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not self.has_permission(request):
                return self._refuse(request)
            request.current_app = self.name
            return guarded(request, *args, **kwargs)

        return update_wrapper(checked, guarded)

    def _refuse(self, request: HttpRequest) -> HttpResponseRedirect:
        if request.user.is_authenticated:
            raise PermissionDenied("Only our staff may open this page.")
        return redirect_to_login(request.get_full_path(), resolve_url(settings.LOGIN_URL))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseRedirect:  # noqa: ARG002
        """Send the person to the site's own sign-in page, or on when they are signed in."""
        index = reverse("admin:index", current_app=self.name)
        if self.has_permission(request):
            return redirect(index)
        if request.user.is_authenticated:
            return self._refuse(request)
        return redirect_to_login(index, resolve_url(settings.LOGIN_URL))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Return only what these pages use: no password change, no short cut by content type, no action log."""
        urls: list[URLPattern | URLResolver] = [
            path("", self.admin_view(self.index), name="index"),
            path("login/", self.login, name="login"),
            path("queue/", self.admin_view(queue_view), name="queue"),
            path("failed-registrations/", self.admin_view(failed_registrations_view), name="failed_registrations"),
            path("charts/", self.admin_view(charts_view), name="charts"),
            path("jobs/", self.admin_view(jobs_view), name="jobs"),
            path("jobs/<slug:name>/run/", self.admin_view(run_job_view), name="job_run"),
        ]
        for model_admin in self._registry.values():
            opts = model_admin.opts
            urls.append(path(f"{opts.app_label}/{opts.model_name}/", include(model_admin.urls)))
        urls.append(path("<slug:app_label>/", self.admin_view(self.app_index), name="app_list"))
        urls.append(re_path(r"(?P<url>.*)$", self.admin_view(self.catch_all_view)))
        return urls

    def app_index(self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Lead to the index, which shows every application."""
        del extra_context
        if app_label not in {model._meta.app_label for model in self._registry}:
            return self.catch_all_view(request, app_label)
        return redirect("admin:index")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the pages that the person may open, in groups, the review queue first."""
        index = reverse("admin:index", current_app=self.name)
        found = {}
        for app in self._build_app_dict(request, app_label).values():
            for model in app["models"]:
                found[model["object_name"].lower()] = {**model, "name": getattr(self._registry[model["model"]], "label", model["name"])}
        groups = [
            {"name": name, "app_label": name.lower(), "app_url": index, "has_module_perms": True, "models": models}
            for name, names in _GROUPS
            if (models := [found[one] for one in names if one in found])
        ]
        user: User = request.user  # type: ignore[assignment]
        for place, group, area, name, label in _PAGES:
            if may_read(user, area):
                self._add_page(groups, place, group, self._page(name, label))
        return groups

    def _page(self, name: str, label: str) -> dict[str, Any]:
        """Return the entry of a page that is no list of a model."""
        url = reverse(f"admin:{name}", current_app=self.name)
        return {"name": label, "object_name": name, "admin_url": url, "add_url": None, "view_only": True, "perms": {"view": True}}

    def _add_page(self, groups: list[Any], place: int, group: str, page: dict[str, Any]) -> None:
        """Put a page at the end of its group; a group that is missing is made at `place`."""
        found = next((one for one in groups if one["name"] == group), None)
        if found is None:
            index = reverse("admin:index", current_app=self.name)
            found = {"name": group, "app_label": group.lower(), "app_url": index, "has_module_perms": True, "models": []}
            groups.insert(place, found)
        found["models"].append(page)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show what waits, which jobs failed, what ends soon, and the pages there are."""
        user: User = request.user  # type: ignore[assignment]
        desk = {"queue": queue_counts(user), "troubled_jobs": jobs_in_trouble(user), "endings": count_endings(timezone.now())}
        return super().index(request, {**desk, **(extra_context or {})})


staff_site = StaffSite(name="staff")
