"""The trust of an app that came by a federation: its chain, what rules made of its metadata, and checking it now (portal.md, page 19)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from federation.checking import Outcome, check_again
from federation.core.resolution import StepStatus
from federation.models import FederationRecord
from federation.registration import as_time
from federation.trust_report import Standing, TrustReport, describe_trust, entity_kinds
from portal.access import EDITORS, actor_for, get_client
from portal.templatetags.portal import when
from portal.views.chain_picture import draw_chain, role_of
from portal.views.common import page, refusals_denied
from portal.views.metadata_rows import LABELS, shown
from portal.views.timeline import entries, trust_events_of_client
from protocol.errors import TransitionRefused
from registry.models import Client

_EVENTS_SHOWN: Final = 20
_OUTCOMES: Final = {
    Outcome.UNCHANGED: (messages.SUCCESS, gettext_lazy("Checked: the trust chain is confirmed, and nothing changed.")),
    Outcome.UPDATED: (messages.SUCCESS, gettext_lazy("Checked: the trust chain is confirmed, and the registration was updated.")),
    Outcome.REVIVED: (messages.SUCCESS, gettext_lazy("Checked: the trust is back. The app asks for new tokens.")),
    Outcome.STALE: (messages.WARNING, gettext_lazy("Checked, without an answer: the chain from before still counts. See below.")),
    Outcome.SUSPECT: (messages.WARNING, gettext_lazy("Checked: the trust is in doubt and is looked at again soon. See below.")),
    Outcome.BROKEN: (messages.ERROR, gettext_lazy("Checked: no trust chain leads to this app. See below.")),
}
_STEP_STATES: Final = {StepStatus.OK: "done", StepStatus.FAILED: "failed", StepStatus.NOT_REACHED: "skipped"}
_VERDICTS: Final = {Standing.VALID: "ok", Standing.EXPIRING: "attention", Standing.STALE: "attention"}


@login_required
@require_GET
def app_trust(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Show why the app is trusted, or why not."""
    client = get_client(request, slug, reference)
    record = FederationRecord.objects.filter(client=client).first()
    if record is None:
        return page(request, "apps/no_trust.html", client.organization, "apps", {"client": client, "tab": "trust"})
    record.client = client
    report = describe_trust(record, timezone.now())
    context = {
        "client": client,
        "tab": "trust",
        "record": record,
        "report": report,
        "kind": entity_kinds(record.entity_type),
        "status": _status(report, record),
        "message_lines": report.failure.tell.count("\n") + 2 if report.failure else 0,
        "pictures": draw_chain(report),
        "hops": [{"hop": hop, "role": role_of(hop.place), "is_own": hop.about == hop.entity} for hop in report.hops],
        "steps": [{"title": f"{step.number}. {step.title}", "state": _STEP_STATES[step.status]} for step in report.steps],
        "rows": value_rows(client.declared_metadata, record.resolved_metadata, client.metadata, record.changes),
        "marks": mark_rows(record.trust_marks),
        "events": entries(trust_events_of_client(client)[:_EVENTS_SHOWN]),
        "may_check": client.state != Client.State.CLOSED,
        "is_due": report.next_check_at is not None and report.next_check_at <= timezone.now(),
    }
    return page(request, "apps/trust.html", client.organization, "apps", context)


@login_required
@require_POST
def app_trust_check(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Look at the federation now, and show what came of it."""
    client = get_client(request, slug, reference, *EDITORS)
    try:
        with refusals_denied():
            level, words = _OUTCOMES[check_again(client, actor_for(request), now=timezone.now())]
        messages.add_message(request, level, str(words))
    except TransitionRefused as refused:
        messages.add_message(request, messages.INFO if refused.reason == "wait" else messages.ERROR, refused.description)
    return redirect("app_trust", slug, reference)


def _status(report: TrustReport, record: FederationRecord) -> dict[str, Any]:
    """Return the answer for templates/components/status.html."""
    causes = []
    if report.failure is not None:
        causes.append({"code": f"step-{report.failure.step}", "sentence": report.failure.sentence, "fixer": report.failure.fixer})
    elif report.standing in (Standing.EXPIRING, Standing.EXPIRED) and (sentence := _end_sentence(report, record)):
        causes.append({"sentence": sentence, "fixer": ""})
    elif report.standing in (Standing.SUSPECT, Standing.BROKEN):
        causes.append({"sentence": _("The history below says why."), "fixer": ""})
    return {"verdict": _VERDICTS.get(report.standing, "blocked"), "sentence": _sentence(report), "causes": causes}


def _sentence(report: TrustReport) -> str:
    ends = when(report.ends)
    return {
        Standing.VALID: lambda: format_html(_("Valid until {}"), ends),
        Standing.EXPIRING: lambda: format_html(_("Expiring: valid until {}"), ends),
        Standing.EXPIRED: lambda: format_html(_("Expired {}"), ends),
        Standing.STALE: lambda: format_html(_("Stale: the last check got no answer; what was confirmed before is valid until {}"), ends),
        Standing.SUSPECT: lambda: _("Suspect: the app gets no tokens until a second look decides."),
        Standing.BROKEN: lambda: _("Broken: every token ended. The app comes back by itself as soon as a check succeeds."),
    }[report.standing]()


def _end_sentence(report: TrustReport, record: FederationRecord) -> str:
    """Return why trust ends when it does, empty when that is not known."""
    if record.registration_ends is not None and record.registration_ends == report.ends:
        return _("Its explicit registration ends, whatever the chain says: register again at the registration endpoint.")
    hop = report.first_to_end
    if hop is None:
        return ""
    if hop.about == hop.entity:
        return _("The entity configuration of the app ends first; no newer one was published.")
    words = _("The statement of %(issuer)s about %(subject)s ends first; no newer one was given out.")
    return words % {"issuer": hop.entity, "subject": hop.about}


def mark_rows(marks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what is known of trust marks, with their ends as times, as templates/components/trust_marks.html wants it."""
    return [{**mark, "ends": _mark_end(mark)} for mark in marks]


def _mark_end(mark: Mapping[str, Any]) -> Any:
    seconds = mark.get("expires_at")
    return as_time(seconds) if isinstance(seconds, int) else None


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One member: as it was declared, after the federation's rules, and as it is registered, with the rules in between."""

    member: str
    label: str
    declared: str
    resolved: str
    registered: str
    changed_by_federation: bool
    changed_here: bool
    federation_rules: tuple[str, ...]
    server_rules: tuple[str, ...]


def value_rows(
    declared: Mapping[str, Any], resolved: Mapping[str, Any], registered: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]
) -> list[ValueRow]:
    """Return every member that has a value somewhere on the way."""
    names = [*LABELS, *sorted((set(declared) | set(resolved) | set(registered)) - set(LABELS))]
    rules: dict[tuple[str, bool], list[str]] = {}
    for change in changes:
        rules.setdefault((str(change.get("member", "")), change.get("by") == "federation"), []).append(_rule(change))
    rows = []
    for name in names:
        values = [document.get(name) for document in (declared, resolved, registered)]
        if all(value in (None, "", []) for value in values):
            continue
        by_federation, here = rules.get((name, True), []), rules.get((name, False), [])
        one, two, three = values
        changed_here = two != three and not (one is None and two is None)
        if two != three and not here:
            here = [_unexplained(two, three)]
        texts = (shown(one), shown(two), shown(three))
        label = str(LABELS.get(name, name))
        rows.append(ValueRow(name, label, *texts, one != two, changed_here, tuple(by_federation), tuple(here)))
    return rows


def _unexplained(resolved: Any, registered: Any) -> str:
    """Return why a value differs where no rule speaks: a default that was filled in, or a member that no client registers."""
    if resolved is None:
        return _("Filled in: the default.")
    return _("Not a part of registrations here.") if registered is None else _("Changed")


def _rule(change: Mapping[str, Any]) -> str:
    if change.get("by") != "federation":
        return str(change.get("sentence", ""))
    setters = ", ".join(str(entity) for entity in change.get("set_by") or ())
    rule = str(change.get("rule", ""))
    if not setters:
        return _("Rule: %(rule)s.") % {"rule": rule}
    return _("Rule: %(rule)s, by %(entities)s.") % {"rule": rule, "entities": setters}
