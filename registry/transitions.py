"""Which state may follow which, who may do it and what the trail calls it: data, walked by a property test (portal.md 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OWNER, DEVELOPER, REVIEWER, SYSTEM = "owner", "developer", "reviewer", "system"
# Staff who look after the server itself: its policy, scopes and keys; and who may make others staff.
OPERATOR, ADMINISTRATOR = "operator", "administrator"


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed step. `target` None keeps the state; `needs_reason` asks for words that the partner will read."""

    name: str
    sources: frozenset[str]
    target: str | None
    roles: frozenset[str]
    event: str
    needs_reason: bool = False


def _step(name: str, sources: str, target: str | None, roles: tuple[str, ...], event: str, *, needs_reason: bool = False) -> Transition:
    return Transition(name, frozenset(sources.split()), target, frozenset(roles), event, needs_reason)


def _table(*steps: Transition) -> dict[str, Transition]:
    return {step.name: step for step in steps}


ORGANIZATION: Final = _table(
    _step("submit", "draft changes_requested", "pending", (OWNER,), "org.submitted"),
    _step("assign", "pending", None, (REVIEWER,), "org.assigned"),
    _step("request_changes", "pending", "changes_requested", (REVIEWER,), "org.changes_requested", needs_reason=True),
    _step("approve", "pending", "approved", (REVIEWER,), "org.approved"),
    _step("reject", "pending", "rejected", (REVIEWER,), "org.rejected", needs_reason=True),
    _step("reopen", "rejected", "draft", (OWNER, REVIEWER), "org.reopened"),
    _step("withdraw", "pending", "draft", (OWNER,), "org.withdrawn"),
    _step("suspend", "approved", "suspended", (REVIEWER,), "org.suspended", needs_reason=True),
    _step("reinstate", "suspended", "approved", (REVIEWER,), "org.reinstated"),
    _step("close", "draft approved suspended rejected", "closed", (OWNER, REVIEWER), "org.closed"),
)

CLIENT: Final = _table(
    _step("activate", "draft", "active", (OWNER, DEVELOPER, SYSTEM), "client.activated"),
    _step("suspend", "active suspended", "suspended", (REVIEWER, SYSTEM), "client.suspended", needs_reason=True),
    _step("pause", "active", "suspended", (OWNER,), "client.suspended"),
    _step("reinstate", "suspended", "active", (REVIEWER,), "client.reinstated"),
    _step("resume", "suspended", "active", (OWNER,), "client.reinstated"),
    _step("close", "draft active suspended", "closed", (OWNER, REVIEWER, SYSTEM), "client.closed"),
)

CHANGE_REQUEST: Final = _table(
    _step("assign", "open", None, (REVIEWER,), "change.assigned"),
    _step("approve", "open", "approved", (REVIEWER, SYSTEM), "change.approved"),
    _step("send_back", "open", "sent_back", (REVIEWER,), "change.sent_back", needs_reason=True),
    _step("reject", "open", "rejected", (REVIEWER,), "change.rejected", needs_reason=True),
    _step("withdraw", "open", "withdrawn", (OWNER,), "change.withdrawn"),
    _step("supersede", "open", "superseded", (OWNER, DEVELOPER, REVIEWER, SYSTEM), "change.superseded"),
)

# What federation and checks say of a client (house decision 10). Only jobs do these: people have the table above.
TRUST: Final = _table(
    _step("restore", "stale suspect", "valid", (SYSTEM,), "trust.restored"),
    _step("revive", "broken", "valid", (SYSTEM,), "trust.revived"),
    _step("miss", "valid", "stale", (SYSTEM,), "trust.stale", needs_reason=True),
    _step("doubt", "valid stale", "suspect", (SYSTEM,), "trust.suspect", needs_reason=True),
    _step("break", "valid stale suspect", "broken", (SYSTEM,), "trust.broken", needs_reason=True),
)
