"""What other rooms may listen to."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# Sent after commit, with `event` (registry.models.AuditEvent) and `subject` (the row it is about).
transition_committed: Final = Signal()
