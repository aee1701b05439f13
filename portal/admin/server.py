"""Signing keys and people."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from portal.admin.base import Crumb, StaffAdmin, staff_actor
from portal.admin.presentation import events_about, timeline
from portal.admin.site import staff_site
from portal.templatetags.portal import state_badge, when
from protocol.errors import TransitionRefused
from registry.models import SigningKey, User
from registry.models.users import StaffRole
from registry.signing_keys import rotate_signing_key
from registry.staff import change_staff_role


@admin.register(SigningKey, site=staff_site)
class SigningKeyAdmin(StaffAdmin):
    """The keys this server signs with. Private parts are never loaded here."""

    label = "Signing keys"
    area = "keys"
    list_display = ("algorithm", "shown_state", "purpose", "age", "kid")
    list_filter = ("state", "purpose", "algorithm")

    @admin.display(description="State", ordering="state")
    def shown_state(self, subject: SigningKey) -> Any:
        """Return the state as badge: the current key is the active one."""
        shapes = {SigningKey.State.CURRENT: "active", SigningKey.State.NEXT: "pending", SigningKey.State.RETIRED: "closed"}
        return state_badge(shapes[SigningKey.State(subject.state)], subject.get_state_display())

    @admin.display(description="Made", ordering="created_at")
    def age(self, subject: SigningKey) -> Any:
        """Return when the key was made, and how long ago."""
        return when(subject.created_at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SigningKey]:
        """Leave the private key where it is."""
        return super().get_queryset(request).defer("private_key_encrypted")

    def rows(self, subject: SigningKey) -> list[tuple[str, Any]]:
        """Return everything but the private key."""
        fields = [field for field in self.opts.fields if field.name != "private_key_encrypted"]
        return [(str(field.verbose_name).capitalize(), self.shown(subject, field)) for field in fields]

    def more_urls(self) -> list[URLPattern]:
        """Add rotation."""
        view = reauthentication_required(require_http_methods(["GET", "POST"])(self.rotate_view))
        return [path("rotate/<slug:purpose>/<slug:algorithm>/", self.admin_site.admin_view(view), name=self.url_name("rotate"))]

    def tools(self, request: HttpRequest) -> list[Crumb]:
        """Link the rotation of each kind of key there is."""
        if not self.may_act(request):
            return []
        current = SigningKey.objects.filter(state=SigningKey.State.CURRENT).values_list("purpose", "algorithm")
        return [(f"Rotate {purpose} {algorithm}", self.url_to("rotate", purpose, algorithm)) for purpose, algorithm in current]

    def rotate_view(self, request: HttpRequest, purpose: str, algorithm: str) -> HttpResponse:
        """Ask before the keys are rotated, and rotate them once however often the form is sent."""
        self.require_acting(request)
        keys = self.get_queryset(request).filter(purpose=purpose, algorithm=algorithm)
        current = keys.filter(state=SigningKey.State.CURRENT).first()
        if current is None:
            raise Http404
        if request.method != "POST":
            following = keys.filter(state=SigningKey.State.NEXT).first()
            title = f"Rotate the {purpose} key {algorithm}"
            return self.page(request, "admin/staff/rotate.html", title, current=current, following=following)
        try:
            kid = request.POST.get("current", "")
            made = rotate_signing_key(purpose, algorithm, staff_actor(request), now=timezone.now(), current_kid=kid)
        except TransitionRefused as error:
            messages.error(request, error.description)
        else:
            messages.success(request, f"{made.kid} signs now. The key before still verifies.")
        return redirect(self.url_to("changelist"))


class StaffRoleForm(forms.Form):
    """Which staff role a person has."""

    staff_role = forms.ChoiceField(label="Staff role", choices=StaffRole.choices, required=False)


@admin.register(User, site=staff_site)
class UserAdmin(StaffAdmin):
    """People. Only an administrator changes who is staff."""

    label = "People"
    area = "people"
    object_template = "admin/staff/user.html"
    list_display = ("email", "name", "staff_role", "is_superuser", "is_active", "date_joined", "last_login")
    list_filter = ("staff_role", "is_superuser", "is_active")
    search_fields = ("email", "name")
    ordering = ("email",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Leave the password digest where it is."""
        return super().get_queryset(request).defer("password")

    def more_urls(self) -> list[URLPattern]:
        """Add the change of role."""
        view = reauthentication_required(require_http_methods(["GET", "POST"])(self.role_view))
        return [path("<int:pk>/role/", self.admin_site.admin_view(view), name=self.url_name("role"))]

    def rows(self, subject: User) -> list[tuple[str, Any]]:
        """Return who the person is, without the password digest."""
        names = ("email", "name", "sub", "staff_role", "is_superuser", "is_active", "date_joined", "last_login")
        fields = [field for field in self.opts.fields if field.name in names]
        return [(str(field.verbose_name).capitalize(), self.shown(subject, field)) for field in fields]

    def object_context(self, request: HttpRequest, subject: User) -> dict[str, Any]:
        """Return memberships and what was done to the account."""
        return {
            **super().object_context(request, subject),
            "memberships": subject.memberships.select_related("organization"),
            "role_url": self.url_to("role", subject.pk) if self.may_act(request) and subject.pk != request.user.pk else "",
            "events": timeline(events_about(("user", str(subject.pk)))),
        }

    def role_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the roles, and change the person's."""
        subject = self.get_subject(request, pk)
        self.require_acting(request)
        form = StaffRoleForm(request.POST if request.method == "POST" else None, initial={"staff_role": subject.staff_role})
        if form.is_valid():
            try:
                change_staff_role(subject, form.cleaned_data["staff_role"], staff_actor(request))
            except TransitionRefused as error:
                form.add_error(None, error.description)
            else:
                messages.success(request, "Saved.")
                return redirect(self.url_to("change", pk))
        crumbs = [(str(subject), self.url_to("change", pk))]
        return self.page(request, "admin/staff/form.html", f"Staff role of {subject}", form=form, button="Save the role", crumbs=crumbs)
