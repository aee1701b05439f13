"""Banners: what staff want everybody to read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from portal.admin.base import staff_actor
from portal.admin.rules import Refused, RuleAdmin, show_refusal
from portal.admin.site import staff_site
from portal.templatetags.portal import state_badge, when
from registry.banners import TEXT_LIMIT, remove_banner, save_banner
from registry.models import Banner


class MomentField(forms.DateTimeField):
    """A moment in UTC, which the browser offers to pick."""

    def __init__(self, label: str) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(label=label, help_text="In UTC, such as 2027-03-01T18:00.", widget=widget)


class BannerForm(forms.Form):
    """Text, tone and times. It decides nothing; the service says what is wrong with them."""

    text = forms.CharField(
        label="Text",
        max_length=TEXT_LIMIT,
        help_text="One sentence: what happens, when, and what the reader has to do. It is shown as text.",
    )
    tone = forms.ChoiceField(label="Tone", choices=Banner.Tone.choices, help_text="Warning for what stops people from working.")
    starts_at = MomentField("From")
    ends_at = MomentField("Until")


@admin.register(Banner, site=staff_site)
class BannerAdmin(RuleAdmin):
    """Banners, the newest first."""

    label = "Banners"
    area = "banners"
    noun = "banner"
    list_display = ("text", "shown_state", "tone", "shown_start", "shown_end")
    list_filter = ("tone",)
    search_fields = ("text",)

    @admin.display(description="State")
    def shown_state(self, subject: Banner) -> Any:
        """Return whether people see it now."""
        now = timezone.now()
        if subject.ends_at <= now:
            return state_badge("closed", "Over")
        return state_badge("pending", "Planned") if now < subject.starts_at else state_badge("active", "Shown")

    @admin.display(description="From", ordering="starts_at")
    def shown_start(self, subject: Banner) -> Any:
        """Return when it begins."""
        return when(subject.starts_at)

    @admin.display(description="Until", ordering="ends_at")
    def shown_end(self, subject: Banner) -> Any:
        """Return when it ends."""
        return when(subject.ends_at)

    def rule_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Show a banner, and save it."""
        banner: Banner | None = self.get_rule(request, pk)
        names = ("text", "tone", "starts_at", "ends_at")
        initial = {name: getattr(banner, name) for name in names} if banner else {"starts_at": timezone.now()}
        form = BannerForm(request.POST if request.method == "POST" else None, initial=initial)
        if form.is_valid() and self._save(request, banner, form):
            return redirect(self.url_to("changelist"))
        text = "Everybody reads it on top of every page between the two moments. Other processes of this server follow within 30 seconds."
        return self.rule_page(request, banner, form, text)

    def _save(self, request: HttpRequest, banner: Banner | None, form: BannerForm) -> bool:
        try:
            save_banner(banner, staff_actor(request), now=timezone.now(), **form.cleaned_data)
        except Refused as error:
            show_refusal(form, error, {})
            return False
        messages.success(request, "Saved.")
        return True

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and remove a banner."""
        banner: Banner = self.get_subject(request, pk)

        def change() -> str:
            remove_banner(banner, staff_actor(request))
            return "The banner is removed."

        return self.confirm_removal(request, banner, change, f"Nobody reads it any more: {banner}")
