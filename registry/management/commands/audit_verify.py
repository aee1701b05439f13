"""manage.py audit_verify"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry import audit
from registry.models import AuditEvent, AuditSeal


class Command(BaseCommand):
    """Check the seals of the audit trail."""

    help = "Check that no sealed audit event was changed, removed or added; exit status 1 when one was."

    def handle(self, *args: Any, **options: Any) -> None:
        """Check every seal."""
        faults = list(audit.verify())
        for fault in faults:
            self.stderr.write(fault.sentence)
        if faults:
            raise CommandError(f"{len(faults)} faults in the audit trail.")
        last = AuditSeal.objects.order_by("-last_id").first()
        unsealed = AuditEvent.objects.filter(id__gt=last.last_id if last else 0).count()
        self.stdout.write(f"{AuditSeal.objects.count()} seals are intact; {unsealed} events wait for the next seal.")
