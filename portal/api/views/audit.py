"""The audit trail."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.lookups import audit_events_for, get_organization
from portal.api.serializers.audit import AuditPageSerializer, AuditQuery
from portal.api.views.base import ApiView, answer
from registry.audit import done_by_staff
from registry.models import AuditEvent

_TAG: Final = "Audit"


class _TrailView(ApiView):
    tag = _TAG

    def trail(self, rows: QuerySet[AuditEvent], query: dict[str, Any]) -> Response:
        """Answer with the newest events that the query asks for."""
        names = {"event": "event", "since_id": "pk__gt", "before_id": "pk__lt"}
        wanted = {lookup: query[name] for name, lookup in names.items() if name in query}
        found = list(rows.filter(**wanted)[: query["limit"] + 1])
        items, is_more = found[: query["limit"]], len(found) > query["limit"]
        following = self.address(before_id=items[-1].pk) if is_more else None
        hidden = frozenset() if self.caller.is_admin else done_by_staff(items)
        return answer(AuditPageSerializer({"items": items, "next": following}, context={"hidden": hidden}))


class AuditView(_TrailView):
    """The trail of this server."""

    admin_methods = ("GET", "HEAD")

    @extend_schema(operation_id="list_all_audit_events", parameters=[AuditQuery], responses=AuditPageSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List what happened here, newest first."""
        return self.trail(audit_events_for(self.caller), self.query(AuditQuery))


class OrganizationAuditView(_TrailView):
    """The trail of an organization."""

    @extend_schema(operation_id="list_audit_events", parameters=[AuditQuery], responses=AuditPageSerializer)
    def get(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """List what happened in an organization, newest first."""
        organization = get_organization(self.caller, slug)
        return self.trail(audit_events_for(self.caller).filter(organization=organization), self.query(AuditQuery))
