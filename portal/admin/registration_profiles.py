"""Registration profiles: named policies that initial access tokens carry."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from dcr.models import RegistrationProfile
from dcr.profiles import DESCRIPTION_LIMIT, NAME_LIMIT, delete_profile, save_profile
from portal.admin.base import staff_actor
from portal.admin.policy_forms import PolicyForm
from portal.admin.rules import Refused, RuleAdmin, show_refusal
from portal.admin.site import staff_site
from portal.templatetags.portal import state_badge
from registry.models import Scope
from registry.registration_policy import NARROWABLE, merge_policy


class ProfileForm(PolicyForm):
    """What can be narrowed for single registrations, and how their registration access tokens are. It decides nothing."""

    name = forms.CharField(
        label="Name", max_length=NAME_LIMIT, help_text="Lower-case letters, digits and hyphens, such as partner-bank. It is final."
    )
    description = forms.CharField(label="Description", required=False, max_length=DESCRIPTION_LIMIT, help_text="Partners read it.")
    is_hardened = forms.BooleanField(
        label="Registration access tokens end after 90 days and are replaced with every update",
        required=False,
        help_text="For ecosystems that want it. Software that cannot keep a new token is locked out.",
    )
    is_read_only = forms.BooleanField(
        label="Apps may read their registration only", required=False, help_text="Neither changed nor deleted by the app itself."
    )

    def __init__(self, *args: Any, profile: RegistrationProfile | None, scopes: list[str], **kwargs: Any) -> None:
        base = merge_policy()
        current = merge_policy(profile.values) if profile else base
        super().__init__(*args, base=base, current=current, scopes=scopes, **kwargs)
        own = ("name", "description", "is_hardened", "is_read_only")
        for name in [name for name in self.fields if name not in (*own, *NARROWABLE)]:
            del self.fields[name]
        self.order_fields(("name", "description", *NARROWABLE, "is_hardened", "is_read_only"))
        if profile:
            del self.fields["name"]
            self.initial.update({name: getattr(profile, name) for name in own[1:]})


@admin.register(RegistrationProfile, site=staff_site)
class RegistrationProfileAdmin(RuleAdmin):
    """Registration profiles."""

    label = "Registration profiles"
    area = "rules"
    noun = "profile"
    list_display = ("name", "description", "shown_hardened", "shown_read_only", "shown_tokens")
    search_fields = ("name", "description")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RegistrationProfile]:
        """Count the tokens of each."""
        return super().get_queryset(request).annotate(tokens_count=Count("tokens"))

    @admin.display(description="Hardened tokens", ordering="is_hardened")
    def shown_hardened(self, subject: RegistrationProfile) -> Any:
        """Return whether registration access tokens are hardened as badge."""
        return state_badge("on" if subject.is_hardened else "off")

    @admin.display(description="Read only", ordering="is_read_only")
    def shown_read_only(self, subject: RegistrationProfile) -> Any:
        """Return whether apps only read as badge."""
        return state_badge("on" if subject.is_read_only else "off")

    @admin.display(description="Tokens", ordering="tokens_count")
    def shown_tokens(self, subject: RegistrationProfile) -> int:
        """Return how many tokens were made with it."""
        return int(subject.tokens_count)  # type: ignore[attr-defined]

    def rule_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Show a profile, and save it."""
        profile: RegistrationProfile | None = self.get_rule(request, pk)
        held = set(profile.values.get("allowed_scopes", [])) | set(profile.values.get("default_scopes", [])) if profile else set()
        scopes = sorted({*Scope.objects.filter(is_retired=False).values_list("name", flat=True), *held})
        form = ProfileForm(request.POST if request.method == "POST" else None, profile=profile, scopes=scopes)
        if form.is_valid() and self._save(request, profile, form):
            return redirect(self.url_to("changelist"))
        text = (
            "What registers with a token of this profile keeps to it, whatever else the policy allows; nothing is allowed that the policy "
            "does not. Editing it counts for apps that register from now on: those registered before keep what they were registered with."
        )
        return self.rule_page(request, profile, form, text)

    def _save(self, request: HttpRequest, profile: RegistrationProfile | None, form: ProfileForm) -> bool:
        given = form.cleaned_data
        try:
            save_profile(
                profile.name if profile else given["name"],
                form.values,
                staff_actor(request),
                description=given["description"],
                is_hardened=given["is_hardened"],
                is_read_only=given["is_read_only"],
                only_new=profile is None,
            )
        except Refused as error:
            show_refusal(form, error, {})
            return False
        messages.success(request, "Saved. It counts for apps that register from now on.")
        return True

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and forget a profile."""
        profile: RegistrationProfile = self.get_subject(request, pk)

        def change() -> str:
            delete_profile(profile, staff_actor(request))
            return "The profile is removed."

        text = "Only a profile that no token was made with can be removed."
        return self.confirm_removal(request, profile, change, text)
