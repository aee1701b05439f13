"""What trust marks entitle to."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from federation.models import TrustAnchorRecord, TrustMarkRule
from federation.rule_preview import RuleReport, digest_of_rules, preview_mark_rules, rules_after
from federation.trust_mark_rules import EDITABLE, delete_trust_mark_rule, review_rule, save_trust_mark_rule
from portal.admin.base import staff_actor
from portal.admin.federation.pages import ValueFilter, column
from portal.admin.rules import URL_ATTRIBUTES, Refused, RuleAdmin, show_refusal
from portal.admin.site import staff_site
from portal.templatetags.portal import state_badge
from protocol.constants import CLIENT_ID_LIMIT
from registry.client_metadata.fields import GRANT_TYPES
from registry.models import Scope

ISSUERS_LIMIT = 20 * (CLIENT_ID_LIMIT + 1)
COUNTS_FROM = gettext_lazy("It counts from each app's next check, which is due now; manage.py refresh_trust makes it at once.")


class MarkRuleForm(forms.Form):
    """A rule about a trust mark. It decides nothing; the service says what is wrong with the values."""

    trust_mark_type = forms.CharField(
        label=gettext_lazy("Trust mark type"),
        max_length=CLIENT_ID_LIMIT,
        widget=forms.TextInput(attrs=URL_ATTRIBUTES),
        help_text=gettext_lazy("Its identifier, such as https://federation.example/marks/certified"),
    )
    anchor = forms.ChoiceField(
        label=gettext_lazy("Trust anchor"), required=False, help_text=gettext_lazy("Apps below other trust anchors get nothing by it.")
    )
    issuers = forms.CharField(
        label=gettext_lazy("Issuers"),
        required=False,
        max_length=ISSUERS_LIMIT,
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono", "spellcheck": "false"}),
        help_text=gettext_lazy("Entity identifiers, one a line. Empty means all that the trust anchor lets issue it."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scopes"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("What its bearer may be granted while the mark is valid, sensitive scopes without a reviewer."),
    )
    grant_types = forms.MultipleChoiceField(
        label=gettext_lazy("Grants"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(name, name) for name in GRANT_TYPES],
        help_text=gettext_lazy("Grants that the registration policy gives to bearers of a trust mark only."),
    )
    is_enabled = forms.BooleanField(label=gettext_lazy("In force"), required=False, initial=True)

    def __init__(self, *args: Any, rule: TrustMarkRule | None, **kwargs: Any) -> None:
        if rule:
            kwargs["initial"] = {**{name: getattr(rule, name) for name in EDITABLE}, "issuers": "\n".join(rule.issuers)}
        super().__init__(*args, **kwargs)
        anchors = list(TrustAnchorRecord.objects.values_list("entity_id", flat=True))
        named = dict.fromkeys((*anchors, *((rule.anchor,) if rule and rule.anchor else ())))
        self.fields["anchor"].choices = [("", _("Every accepted one")), *((name, name) for name in named)]  # type: ignore[attr-defined]
        held = rule.scopes if rule else []
        offered = [scope for scope in Scope.objects.all() if not scope.is_retired or scope.name in held]
        known = {scope.name for scope in offered}
        gone = [(name, _("%(name)s (no longer a scope of this server)") % {"name": name}) for name in held if name not in known]
        self.fields["scopes"].choices = [*((scope.name, _words(scope)) for scope in offered), *gone]  # type: ignore[attr-defined]

    def clean_issuers(self) -> list[str]:
        """Return the issuers as a list, each once."""
        lines = (line.strip() for line in self.cleaned_data["issuers"].splitlines())
        return list(dict.fromkeys(line for line in lines if line))


def _words(scope: Scope) -> str:
    marks = [word for word, holds in ((_("(sensitive)"), scope.is_sensitive), (_("(retired)"), scope.is_retired)) if holds]
    return " ".join([f"{scope.name}: {scope.title}", *marks])


class InForceFilter(ValueFilter):
    """Rules that are in force, or not."""

    title = gettext_lazy("state")
    parameter_name = "is_enabled__exact"
    words = {"1": gettext_lazy("In force"), "0": gettext_lazy("Not in force")}


@admin.register(TrustMarkRule, site=staff_site)
class TrustMarkRuleAdmin(RuleAdmin):
    """Rules about trust marks."""

    area = "federation"
    is_previewed = True
    label = gettext_lazy("Trust mark rules")
    list_display = ("shown_type", "shown_anchor", "shown_grants", "shown_state")
    list_filter = (InForceFilter,)
    search_fields = ("trust_mark_type", "anchor")
    shown_type = column("trust_mark_type", gettext_lazy("Trust mark type"))

    @admin.display(description=gettext_lazy("Trust anchor"), ordering="anchor")
    def shown_anchor(self, subject: TrustMarkRule) -> str:
        """Return below which trust anchor it counts."""
        return subject.anchor or _("every accepted one")

    @admin.display(description=gettext_lazy("Entitles to"))
    def shown_grants(self, subject: TrustMarkRule) -> str:
        """Return the scopes and grants."""
        return ", ".join((*subject.scopes, *subject.grant_types)) or _("nothing")

    @admin.display(description=gettext_lazy("In force"), ordering="is_enabled")
    def shown_state(self, subject: TrustMarkRule) -> Any:
        """Return whether it is in force as badge."""
        return state_badge("on" if subject.is_enabled else "off")

    def rule_view(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """Show a rule, and save it."""
        rule: TrustMarkRule | None = self.get_rule(request, pk)
        form = MarkRuleForm(request.POST if request.method == "POST" else None, rule=rule)
        report: RuleReport | None = None
        if form.is_valid():
            try:
                review_rule(rule, form.cleaned_data, staff_actor(request))
                report = preview_mark_rules(*rules_after(rule, form.cleaned_data))
                if request.POST.get("seen") == report.digest:
                    return self._save(request, rule, form, report.digest)
            except Refused as error:
                show_refusal(form, error, {})
        text = _("An entity that carries a trust mark of this type gets what is chosen here, as long as the mark is valid.")
        return self.rule_page(request, rule, form, text, report=report)

    def _save(self, request: HttpRequest, rule: TrustMarkRule | None, form: MarkRuleForm, seen: str) -> HttpResponse:
        """Save what was looked at. Raises what the service raises."""

        def is_other() -> bool:
            return digest_of_rules(*rules_after(rule, form.cleaned_data)) != seen

        save_trust_mark_rule(rule, form.cleaned_data, staff_actor(request), now=timezone.now(), unless=is_other)
        words = _("Saved.")
        messages.success(request, f"{words} {COUNTS_FROM}")
        return redirect(self.url_to("changelist"))

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, and forget a rule."""
        rule: TrustMarkRule = self.get_subject(request, pk)

        def change() -> str:
            delete_trust_mark_rule(rule, staff_actor(request), now=timezone.now())
            words = _("The rule is removed.")
            return f"{words} {COUNTS_FROM}"

        text = _("What it entitles to ends for every app that has it by this rule alone. Its next check ends it, which is due at once.")
        report = preview_mark_rules(*rules_after(rule, None)) if request.method != "POST" else None
        return self.confirm_removal(request, rule, change, text, report=report)
