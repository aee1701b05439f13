"""Tools that ask a federation: reading one entity, and resolving its trust chain."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _

from federation.core.resolution import StepStatus
from federation.explaining import as_json
from federation.inspecting import Inspection, inspect_entity, read_entity
from federation.models import TrustAnchorRecord
from federation.trust_report import Standing
from portal.forms.tools import ChainForm, EntityForm
from portal.templatetags.portal import when
from portal.views.chain_picture import draw_chain, role_of
from portal.views.tools.page import Answer, as_data, tool_view
from portal.views.tools.tokens import token_context, token_data, written
from portal.views.trust import mark_rows, value_rows
from protocol.fetch import Fetcher

_STEP_STATES = {StepStatus.OK: "done", StepStatus.FAILED: "failed", StepStatus.NOT_REACHED: "skipped"}


def _read(request: HttpRequest, form: EntityForm, fetcher: Fetcher | None) -> Answer | None:  # noqa: ARG001
    if fetcher is None:
        return None
    reading = read_entity(form.cleaned_data["entity_id"], fetcher, now=timezone.now())
    shown = token_context(reading.token) if reading.token else {}
    told = token_data(reading.token) if reading.token else {}
    return Answer(
        {**shown, "reading": reading, "findings": reading.findings}, {**told, "url": reading.url, "findings": as_data(reading.findings)}
    )


def _resolve(request: HttpRequest, form: ChainForm, fetcher: Fetcher | None) -> Answer | None:  # noqa: ARG001
    if fetcher is None:
        return None
    found = inspect_entity(form.cleaned_data["entity_id"], fetcher, now=timezone.now(), organization=form.judged_for)
    return Answer({**_chain_context(found), "findings": found.findings}, _chain_data(found))


def _chain_context(found: Inspection) -> dict[str, Any]:
    report, resolution = found.report, found.resolution
    others = [one for one in resolution.candidates if one.failure and one.failure is not resolution.failure]
    return {
        "inspection": found,
        "report": report,
        "status": _status(found),
        "message_lines": report.failure.tell.count("\n") + 2 if report.failure else 0,
        "pictures": draw_chain(report, of_app=False),
        "hops": [{"hop": hop, "role": role_of(hop.place, of_app=False), "is_own": hop.about == hop.entity} for hop in report.hops],
        "steps": [
            {"title": f"{step.number.value}. {step.title}", "state": _STEP_STATES[step.status], "text": _step_text(found, step)}
            for step in found.steps
        ],
        "rows": value_rows(found.declared, found.resolved or {}, found.registered or {}, found.changes) if found.declared else [],
        "marks": mark_rows(one.as_json() for one in found.marks),
        "others": [{"path": " → ".join(one.entities), "sentence": one.failure.sentence if one.failure else ""} for one in others],
        "evidence": written(dict(found.evidence)) if found.evidence else "",
        "statements": list(resolution.statements),
    }


def _step_text(found: Inspection, step: Any) -> Any:
    """Return what a step says; of the last one as people read a time."""
    if step.number.value == len(found.steps) and found.report.ends is not None:
        return format_html(_("Valid until {}"), when(found.report.ends))
    return step.sentence


def _status(found: Inspection) -> dict[str, Any]:
    """Return the answer for templates/components/status.html."""
    failure = found.report.failure
    causes = [{"sentence": failure.sentence, "fixer": failure.fixer}] if failure else []
    if not found.resolution.ok:
        return {"verdict": "blocked", "sentence": _("No trust chain to an anchor of this server."), "causes": causes}
    ends = when(found.report.ends)
    if failure is not None:
        return {
            "verdict": "attention",
            "sentence": format_html(_("Trusted until {}, but it cannot register as an app."), ends),
            "causes": causes,
        }
    verdict = "ok" if found.report.standing is Standing.VALID else "attention"
    return {"verdict": verdict, "sentence": format_html(_("Valid until {}"), ends), "causes": causes}


def _chain_data(found: Inspection) -> dict[str, Any]:
    steps = [
        {"number": step.number.value, "title": step.title, "status": step.status.value, "entity": step.entity, "sentence": step.sentence}
        for step in found.steps
    ]
    told = as_json(found.resolution)
    for candidate in told["candidates"]:
        candidate["failure"] = {**candidate["failure"], "evidence": None} if candidate["failure"] else None
    registration = {"registered_metadata": found.registered, "changes": list(found.changes), "findings": as_data(found.findings)}
    return {**told, "steps": steps, **registration}


def _example(request: HttpRequest) -> dict[str, Any]:
    """Return an entity to look at: an anchor that is accepted here, for people who may ask."""
    anchor = TrustAnchorRecord.objects.filter(is_enabled=True).first() if request.user.is_authenticated else None
    return {"entity_id": anchor.entity_id if anchor else "https://app.example.org"}


read = tool_view("tool_entity", EntityForm, _read, _example)
resolve = tool_view("tool_chain", ChainForm, _resolve, _example)
