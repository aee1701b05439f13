"""Probes for whoever runs the server."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET


@never_cache
@require_GET
def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Say that this process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_GET
def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """Say whether requests can be served: the database answers and has every migration."""
    try:
        executor = MigrationExecutor(connection)
        behind = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        checks = {"database": "ok", "migrations": "missing" if behind else "ok"}
    except DatabaseError:
        checks = {"database": "unreachable", "migrations": "unknown"}
    ready = set(checks.values()) == {"ok"}
    return JsonResponse({"status": "ready" if ready else "not ready", "checks": checks}, status=200 if ready else 503)
