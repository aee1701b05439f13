"""Which staff role opens which pages (portal.md 4.1). What a role may do is asked again by the services, which decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from registry.models import User
from registry.models.users import StaffRole

_REVIEWER, _OPERATOR, _AUDITOR = StaffRole.REVIEWER, StaffRole.OPERATOR, StaffRole.AUDITOR
_EVERYBODY: Final = frozenset((_REVIEWER, _OPERATOR, _AUDITOR))
_NOT_REVIEWERS: Final = frozenset((_OPERATOR, _AUDITOR))


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the staff pages: who may read it and who may change things in it. Administrators may do both everywhere."""

    readers: frozenset[str]
    actors: frozenset[str] = frozenset()


AREAS: Final = {
    "review": Area(_EVERYBODY, frozenset((_REVIEWER,))),
    "notes": Area(_EVERYBODY, frozenset((_REVIEWER, _OPERATOR))),
    "switches": Area(_EVERYBODY, frozenset((_REVIEWER, _OPERATOR))),
    "tokens": Area(_EVERYBODY, frozenset((_REVIEWER, _OPERATOR))),
    "rules": Area(_EVERYBODY, frozenset((_OPERATOR,))),
    "federation": Area(_EVERYBODY, frozenset((_OPERATOR,))),
    "entities": Area(_EVERYBODY, frozenset((_REVIEWER, _OPERATOR))),
    "keys": Area(_NOT_REVIEWERS, frozenset((_OPERATOR,))),
    "people": Area(_NOT_REVIEWERS),
    "banners": Area(_EVERYBODY, frozenset((_OPERATOR,))),
    "notices": Area(_NOT_REVIEWERS, frozenset((_OPERATOR,))),
    "trail": Area(_NOT_REVIEWERS),
    "jobs": Area(_NOT_REVIEWERS, frozenset((_OPERATOR,))),
    "registrations": Area(_EVERYBODY),
}


def may_read(user: User, area: str) -> bool:
    """Say whether `user` may open the pages of `area`."""
    return user.is_superuser or user.staff_role in AREAS[area].readers


def may_act(user: User, area: str) -> bool:
    """Say whether pages offer `user` to change something in `area`."""
    return user.is_superuser or user.staff_role in AREAS[area].actors


def needed_role(user: User, area: str, *, acting: bool = False) -> str:
    """Return the sentence for staff whose role does not open `area`, or does not let them change something in it."""
    roles = AREAS[area].actors if acting else AREAS[area].readers
    wanted = " or ".join([*(role.label.lower() for role in StaffRole if role in roles), "administrator"])
    own = StaffRole(user.staff_role).label.lower() if user.staff_role else "member of no staff role"
    return f"This takes the staff role {wanted}; you are {_with_article(own)}."


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
