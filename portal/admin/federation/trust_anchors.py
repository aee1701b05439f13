"""Trust anchors, and entities that are refused."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from federation.anchor_reading import AnchorVerdict, last_reading, read_anchor
from federation.models import RefusedEntity, TrustAnchorRecord
from federation.trust_anchors import (
    EDITABLE,
    HIGHEST_POSITION,
    add_trust_anchor,
    change_trust_anchor,
    distrust,
    last_confirmed,
    rules_about,
    trust_again,
)
from portal.access import source_address
from portal.admin.base import Crumb, Row, staff_actor
from portal.admin.federation.pages import FederationAdmin, ValueFilter, carried_by, column, entity_field
from portal.admin.presentation import events_about, timeline
from portal.admin.rules import ReasonForm, Refused, disable_unless, is_done_already, show_refusal
from portal.admin.site import staff_site
from portal.templatetags.portal import state_badge
from protocol.constants import JWKS_LIMIT
from protocol.errors import InvalidKeySet, InvalidUrl, TooManyRequests
from protocol.jose import FEDERATION_ENTITY_KEYS, PublicKey, parse_jwk_set
from protocol.urls import parse_entity_identifier
from registry.pasted_keys import read_pasted_keys
from registry.tool_limits import question

_FIELD_OF_REFUSAL: Final = {InvalidUrl: "entity_id", InvalidKeySet: "jwks", "duplicate": "entity_id", "refused": "entity_id"}
_LEVELS: Final = {
    AnchorVerdict.SAME: messages.SUCCESS,
    AnchorVerdict.CHANGED: messages.WARNING,
    AnchorVerdict.NOT_PINNED: messages.ERROR,
    AnchorVerdict.UNREADABLE: messages.ERROR,
}
_BY_ANOTHER_WAY: Final = gettext_lazy(
    "The JWK Set with its federation keys, got by another way than its website: whoever has these keys decides who is trusted."
)


class KeysForm(forms.Form):
    """A form with a key set. A private key that is pasted is forgotten at once, so that no page shows it again."""

    jwks = forms.CharField(
        label=gettext_lazy("Pinned keys"),
        max_length=JWKS_LIMIT,
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false"}),
    )

    def clean_jwks(self) -> dict[str, Any] | None:
        """Return the pasted key set, None when nothing was pasted."""
        pasted = read_pasted_keys(self.cleaned_data["jwks"])
        if pasted.holds_private:
            data = self.data.copy()  # type: ignore[attr-defined]
            data["jwks"] = ""
            self.data = data
        wrong = [f"{finding.sentence} {finding.hint}".strip() for finding in pasted.findings if finding.level == "error"]
        if wrong:
            raise forms.ValidationError(wrong)
        return pasted.jwks


class NewAnchorForm(KeysForm):
    """A new trust anchor."""

    entity_id = entity_field(gettext_lazy("Entity identifier"), gettext_lazy("Such as https://anchor.example"))
    organizations = forms.ChoiceField(
        label=gettext_lazy("Organizations"),
        choices=TrustAnchorRecord.Organizations.choices,
        initial=TrustAnchorRecord.Organizations.QUEUE,
        help_text=gettext_lazy("How an entity below it gets its organization."),
    )
    field_order = ("entity_id", "jwks", "organizations")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["jwks"].help_text = _BY_ANOTHER_WAY


class AnchorForm(KeysForm):
    """How an accepted trust anchor is used."""

    organizations = forms.ChoiceField(
        label=gettext_lazy("Organizations"),
        choices=TrustAnchorRecord.Organizations.choices,
        help_text=gettext_lazy("How an entity below it gets its organization. Registered apps keep theirs."),
    )
    position = forms.IntegerField(
        label=gettext_lazy("Position"),
        min_value=0,
        max_value=HIGHEST_POSITION,
        help_text=gettext_lazy("Of several valid chains, one to an anchor with a lower number is preferred."),
    )
    registers_at_token_endpoint = forms.BooleanField(
        label=gettext_lazy("Registers at the token endpoint"),
        required=False,
        help_text=gettext_lazy("A machine client below it may register by its first token request, which carries its trust chain."),
    )
    field_order = (*EDITABLE, "jwks")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keys = self.fields["jwks"]
        keys.required, keys.label = False, _("Other keys")
        kept = _("Empty keeps the pinned ones; what is pasted here replaces them all.")
        keys.help_text = f"{kept} {_BY_ANOTHER_WAY}"


class TrustedFilter(ValueFilter):
    """Trust anchors that are trusted, or no more."""

    title = gettext_lazy("state")
    parameter_name = "is_enabled__exact"
    words = {"1": gettext_lazy("Trusted"), "0": gettext_lazy("Trusted no more")}


class OrganizationsFilter(ValueFilter):
    """Trust anchors by how entities below them get their organization."""

    title = gettext_lazy("organizations")
    parameter_name = "organizations__exact"
    words = dict(TrustAnchorRecord.Organizations.choices)


@admin.register(TrustAnchorRecord, site=staff_site)
class TrustAnchorAdmin(FederationAdmin):
    """Trust anchors: their keys, their rule, and what depends on them."""

    label = gettext_lazy("Trust anchors")
    list_display = ("shown_entity", "shown_state", "shown_keys", "shown_organizations")
    list_filter = (TrustedFilter, OrganizationsFilter)
    search_fields = ("entity_id",)
    shown_entity = column("entity_id", gettext_lazy("Entity identifier"))
    shown_organizations = column("organizations", gettext_lazy("Organizations"))

    @admin.display(description=gettext_lazy("State"), ordering="is_enabled")
    def shown_state(self, subject: TrustAnchorRecord) -> Any:
        """Return whether it is trusted as badge."""
        return trusted_badge(subject)

    @admin.display(description=gettext_lazy("Pinned keys"))
    def shown_keys(self, subject: TrustAnchorRecord) -> Any:
        """Return the identifiers of the pinned keys."""
        return format_html_join("", '<span class="sub">{}</span>', ((key.kid,) for key in pinned_keys(subject)))

    def more_urls(self) -> list[URLPattern]:
        """Add the forms."""
        return [
            self.route("new/", self.add_anchor_view, "add"),
            self.route("<int:pk>/", self.anchor_view, "change"),
            self.route("<int:pk>/fetch/", self.fetch_view, "fetch", guarded=False),
            self.route("<int:pk>/distrust/", self.distrust_view, "distrust"),
            self.route("<int:pk>/trust-again/", self.trust_again_view, "trust_again"),
        ]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:
        """Link the form of a new trust anchor."""
        return ((_("Add a trust anchor"), self.url_to("add")),) if self.may_act(request) else ()

    def add_anchor_view(self, request: HttpRequest) -> HttpResponse:
        """Accept a trust anchor."""
        self.require_acting(request)
        form = NewAnchorForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            given = form.cleaned_data
            more = {"organizations": given["organizations"], "only_new": True}
            try:
                made = add_trust_anchor(given["entity_id"], given["jwks"], staff_actor(request), now=timezone.now(), **more)
            except Refused as error:
                show_refusal(form, error, _FIELD_OF_REFUSAL)
            else:
                messages.success(request, _("It is trusted now: entities below it can register."))
                return redirect(self.url_to("change", made.pk))
        return self.page(request, "admin/staff/form.html", _("Add a trust anchor"), form=form, button=_("Trust it"))

    def anchor_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show a trust anchor, and change how it is used."""
        anchor: TrustAnchorRecord = self.get_subject(request, pk)
        if request.method == "POST":
            self.require_acting(request)
        initial = {name: getattr(anchor, name) for name in EDITABLE}
        form = AnchorForm(request.POST if request.method == "POST" else None, initial=initial)
        if form.is_valid():
            try:
                change_trust_anchor(anchor, staff_actor(request), now=timezone.now(), **form.cleaned_data)
            except Refused as error:
                show_refusal(form, error, _FIELD_OF_REFUSAL)
            else:
                messages.success(request, _("Saved."))
                return redirect(request.path)
        disable_unless(self.may_act(request), form)
        context = {
            "subject": anchor,
            "form": form,
            "may_act": self.may_act(request),
            "state": trusted_badge(anchor),
            "keys": pinned_keys(anchor),
            "carried": carried_by(anchor.entity_id),
            "rules": rules_about(anchor.entity_id),
            "confirmed_at": last_confirmed(anchor.entity_id),
            "reading": last_reading(anchor),
            "fetch_url": self.url_to("fetch", pk),
            "distrust_url": self.url_to("distrust", pk),
            "trust_again_url": self.url_to("trust_again", pk),
            "events": timeline(events_about(("trustanchorrecord", str(pk)))),
        }
        return self.page(request, "admin/staff/trust_anchor.html", str(anchor), **context)

    def fetch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Fetch what the anchor publishes now, and say how its keys compare with the pinned ones; a GET leads to the page."""
        anchor: TrustAnchorRecord = self.get_subject(request, pk)
        self.require_acting(request)
        if request.method == "POST":
            try:
                with question(str(request.user.sub), source_address(request)) as fetcher:  # type: ignore[union-attr]
                    reading = read_anchor(anchor, staff_actor(request), fetcher, now=timezone.now())
            except TooManyRequests as error:
                messages.error(request, error.description)
            else:
                messages.add_message(request, _LEVELS[reading.verdict], reading.sentence)
        return redirect(self.url_to("change", pk))

    def distrust_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show which apps of which organizations end without the anchor, and trust it no more."""
        anchor: TrustAnchorRecord = self.get_subject(request, pk)
        self.require_acting(request)
        if not anchor.is_enabled:
            messages.info(request, _("It is trusted no more already."))
            return redirect(self.url_to("change", pk))
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                ended = distrust(anchor.entity_id, staff_actor(request), now=timezone.now(), reason=form.cleaned_data["reason"])
            except Refused as error:
                show_refusal(form, error, {"reason_missing": "reason"})
            else:
                words = _("It is trusted no more.")
                messages.success(request, f"{words} {ended_words(ended)}")
                return redirect(self.url_to("change", pk))
        carried, crumbs = carried_by(anchor.entity_id), [(str(anchor), self.url_to("change", pk))]
        context = {"form": form, "carried": carried, "tokens_count": carried.count_tokens(), "crumbs": crumbs, "back": crumbs[0][1]}
        context["rules"] = rules_about(anchor.entity_id)
        return self.page(request, "admin/staff/distrust.html", _("Trust it no more"), **context)

    def trust_again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and trust an anchor again."""
        anchor: TrustAnchorRecord = self.get_subject(request, pk)
        below = _("Entities below it can register again, by the keys that are pinned here.")

        def change() -> str:
            again = trust_again(anchor.entity_id, staff_actor(request), now=timezone.now())
            words = _("It is trusted again.")
            return f"{words} {COME_BACK}" if again else _("It is trusted already.")

        title, then = _("Trust it again"), self.url_to("change", pk)
        return self.confirm(request, anchor, change, title=title, text=f"{below} {BACK_AGAIN}", button=title, then=then)


BACK_AGAIN: Final = gettext_lazy("Apps that lost their trust come back when their chain is valid; tokens that ended stay ended.")
COME_BACK: Final = gettext_lazy("Apps that lost their trust are checked within minutes; manage.py refresh_trust does it now.")


def trusted_badge(anchor: TrustAnchorRecord) -> Any:
    """Return whether an anchor is trusted as badge."""
    return state_badge("active", _("Trusted")) if anchor.is_enabled else state_badge("revoked", _("Trusted no more"))


def pinned_keys(anchor: TrustAnchorRecord) -> tuple[PublicKey, ...]:
    """Return the pinned keys of an anchor."""
    try:
        return parse_jwk_set(anchor.jwks, purpose=FEDERATION_ENTITY_KEYS).keys
    except InvalidKeySet:
        return ()


def ended_words(ended: int) -> str:
    """Say how many apps lost their trust."""
    if not ended:
        return _("No app had trust through it.")
    return ngettext("%(n)d app lost its trust.", "%(n)d apps lost their trust.", ended) % {"n": ended}


class EntityForm(forms.Form):
    """Which entity is looked at before it is refused."""

    entity_id = entity_field(
        gettext_lazy("Entity identifier"), gettext_lazy("Of an intermediate or of a single entity, such as https://rp.example")
    )

    def clean_entity_id(self) -> str:
        """Read the identifier, since what is no identifier carries nothing."""
        try:
            return parse_entity_identifier(self.cleaned_data["entity_id"]).text
        except InvalidUrl as error:
            raise forms.ValidationError(error.description) from error


class RefuseForm(EntityForm, ReasonForm):
    """What is refused, and why."""

    field_order = ("entity_id", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["entity_id"].widget = forms.HiddenInput()


@admin.register(RefusedEntity, site=staff_site)
class RefusedEntityAdmin(FederationAdmin):
    """Entities through which no chain may go."""

    label = gettext_lazy("Refused entities")
    object_template = "admin/staff/refused_entity.html"
    list_display = ("shown_entity", "shown_reason", "shown_since")
    search_fields = ("entity_id", "reason")
    shown_entity = column("entity_id", gettext_lazy("Entity identifier"))
    shown_reason = column("reason", gettext_lazy("Reason"))
    shown_since = column("created_at", gettext_lazy("Refused since"))

    def more_urls(self) -> list[URLPattern]:
        """Add the forms."""
        return [
            self.route("new/", self.refuse_view, "add"),
            self.route("<int:pk>/take-back/", self.take_back_view, "take_back"),
        ]

    def tools(self, request: HttpRequest) -> tuple[Crumb, ...]:
        """Link the form of a refusal."""
        return ((_("Refuse an entity"), self.url_to("add")),) if self.may_act(request) else ()

    def rows(self, subject: RefusedEntity) -> list[Row]:
        """Return what is refused, why, and since when."""
        return [(_("Entity identifier"), subject.entity_id), (_("Reason"), subject.reason), (_("Refused since"), subject.created_at)]

    def object_context(self, request: HttpRequest, subject: RefusedEntity) -> dict[str, Any]:
        """Return what is refused, why, and what it carries still."""
        return {
            **super().object_context(request, subject),
            "carried": carried_by(subject.entity_id),
            "take_back_url": self.url_to("take_back", subject.pk) if self.may_act(request) else "",
            "events": timeline(events_about(("refusedentity", str(subject.pk)))),
        }

    def refuse_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the entity, show which apps of which organizations end without it, and refuse it."""
        self.require_acting(request)
        if request.method == "POST":
            form: EntityForm = RefuseForm(request.POST)
            if form.is_valid() and self._refuse(request, form):
                return redirect(self.url_to("changelist"))
            if "entity_id" in form.errors:
                form = EntityForm(request.POST)
        else:
            form = EntityForm(request.GET if "entity_id" in request.GET else None)
            if form.is_valid():
                form = RefuseForm(initial=form.cleaned_data)
        return self._show_refusal(request, form)

    def _show_refusal(self, request: HttpRequest, form: EntityForm) -> HttpResponse:
        if not isinstance(form, RefuseForm):
            form.is_valid()
            return self.page(request, "admin/staff/refuse.html", _("Refuse an entity"), form=form)
        entity_id = str(form["entity_id"].value())
        context = {
            "form": form,
            "entity_id": entity_id,
            "carried": (carried := carried_by(entity_id)),
            "tokens_count": carried.count_tokens(),
            "is_anchor": TrustAnchorRecord.objects.filter(entity_id=entity_id, is_enabled=True).exists(),
            "back": self.url_to("add"),
        }
        return self.page(request, "admin/staff/distrust.html", _("Refuse %(entity)s") % {"entity": entity_id}, **context)

    def _refuse(self, request: HttpRequest, form: EntityForm) -> bool:
        given = form.cleaned_data
        try:
            ended = distrust(given["entity_id"], staff_actor(request), now=timezone.now(), reason=given["reason"])
        except Refused as error:
            if is_done_already(request, error):
                return True
            show_refusal(form, error, {InvalidUrl: "entity_id", "reason_missing": "reason"})
            return False
        words = _("%(entity)s is trusted no more.") % {"entity": given["entity_id"]}
        messages.success(request, f"{words} {ended_words(ended)}")
        return True

    def take_back_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and take a refusal back."""
        subject: RefusedEntity = self.get_subject(request, pk)

        def change() -> str:
            trust_again(subject.entity_id, staff_actor(request), now=timezone.now())
            words = _("The refusal is taken back.")
            return f"{words} {COME_BACK}"

        words = _("Chains may go through this entity again.")
        page = {
            "title": _("Take the refusal back"),
            "text": f"{words} {BACK_AGAIN}",
            "button": _("Take it back"),
            "then": self.url_to("changelist"),
        }
        return self.confirm(request, subject, change, **page)
