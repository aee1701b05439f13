"""Probes and measures for whoever runs the server."""

from __future__ import annotations

import ipaddress
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from portal.metrics import CONTENT_TYPE, collect_metrics, render_metrics
from registry.models import JobRecord

# The clock ticks every few seconds; a worker that is busy for a minute or two is not away.
LATE_AFTER: Final = timedelta(minutes=3)


@never_cache
@require_GET
def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Say that this process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_GET
def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Say whether requests can be served: the database answers and has every migration. It also says how the scheduler is.

    A scheduler that is late does not take the server out of service: tokens are issued without it, and all web servers share one.
    """
    needed, scheduler, ticked_at = _needed(), "unknown", None
    if set(needed.values()) == {"ok"}:
        with suppress(DatabaseError):
            ticked_at = JobRecord.objects.aggregate(last=Max("started_at"))["last"]
            scheduler = _scheduler_word(ticked_at, timezone.now())
    ready = set(needed.values()) == {"ok"}
    body = {
        "status": "ready" if ready else "not ready",
        "checks": {**needed, "scheduler": scheduler},
        "scheduler_ticked_at": ticked_at.isoformat() if ticked_at else None,
    }
    return JsonResponse(body, status=200 if ready else 503)


def _needed() -> dict[str, str]:
    try:
        executor = MigrationExecutor(connection)
        behind = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError:
        return {"database": "unreachable", "migrations": "unknown"}
    return {"database": "ok", "migrations": "missing" if behind else "ok"}


def _scheduler_word(ticked_at: datetime | None, now: datetime) -> str:
    if ticked_at is None:
        return "never ran"
    return "late" if now - ticked_at > LATE_AFTER else "ok"


@never_cache
@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer what is watched, to whoever sends the token, or to this machine itself while no token is set and the issuer is on loopback.

    Raises Http404 for everybody else while there is no token.
    """
    if settings.METRICS_TOKEN:
        if not _has_token(request):
            return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
    elif not _is_own_machine(request):
        raise Http404
    return HttpResponse(render_metrics(collect_metrics(timezone.now())), content_type=CONTENT_TYPE)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return secrets.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode()) and scheme.lower() == "bearer"


def _is_own_machine(request: HttpRequest) -> bool:
    """Say whether a server on loopback is asked by its own machine. Behind a proxy every address may be loopback, so none counts."""
    if not settings.ISSUER_IS_LOOPBACK or settings.TRUSTED_PROXY or "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
