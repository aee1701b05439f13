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

from portal.admin.queue import queue_counts, queue_view
from portal.admin.roles import may_read

View = Callable[..., HttpResponseBase]

# How the index and the side bar group the pages.
_GROUPS = (
    ("Partners", ("organization", "client", "changerequest", "initialaccesstoken", "membership", "invitation")),
    ("Federation", ("registrationrequest", "trustanchorrecord", "refusedentity", "organizationrule", "trustmarkrule")),
    ("Rules", ("policyrecord", "registrationprofile", "scope", "softwarestatementissuer", "statementorganization")),
    ("Server", ("signingkey", "user", "auditevent")),
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
        if may_read(request.user, "review"):  # type: ignore[arg-type]
            groups.insert(0, self._review_group(index))
        return groups

    def _review_group(self, index: str) -> dict[str, Any]:
        queue = {
            "name": "Review queue",
            "object_name": "ReviewQueue",
            "admin_url": reverse("admin:queue", current_app=self.name),
            "add_url": None,
            "view_only": True,
            "perms": {"view": True},
        }
        return {"name": "Review", "app_label": "review", "app_url": index, "has_module_perms": True, "models": [queue]}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show what waits, and the pages there are."""
        return super().index(request, {"queue": queue_counts(request.user), **(extra_context or {})})  # type: ignore[arg-type]


staff_site = StaffSite(name="staff")
