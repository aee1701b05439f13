"""Whether the website that an organization names answers: asked by a reviewer, through the one outbound fetch (portal.md 4.5).

Nothing of the page is kept or shown, and redirects are not followed (threats.md F03, F05).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core.cache import cache

from protocol.errors import FetchError, TransitionRefused
from protocol.fetch import FetchPurpose, standard_request
from registry import audit
from registry.actors import Actor
from registry.models import Organization
from registry.outbound import get_fetcher
from registry.transitions import OPERATOR, REVIEWER
from registry.windows import WindowCounter

COOL_DOWN: Final = timedelta(seconds=60)
KEPT: Final = timedelta(days=7)
CHECKS_PER_MINUTE: Final = 10
# The server answered; that it answers with something else than a small page is no sign of anything.
_ANSWERS: Final = ("media_type", "too_large", "content_encoding", "incomplete")
checks: Final = WindowCounter()


@dataclass(frozen=True, slots=True)
class HomepageCheck:
    """What was found at `website`, and when."""

    website: str
    answers: bool
    sentence: str
    checked_at: datetime


def last_homepage_check(organization: Organization) -> HomepageCheck | None:
    """Return the newest check of the website that `organization` names now, of the last days; nothing is fetched."""
    found = cache.get(_key(organization.website)) if organization.website else None
    return HomepageCheck(**found) if found else None


def check_homepage(organization: Organization, actor: Actor, *, now: datetime) -> HomepageCheck:
    """Fetch the website of `organization`, unless that was done in the last minute, and say how it went.

    Raises TransitionRefused with reason permission, website or too_many.
    """
    if not actor.has_role(organization, REVIEWER, OPERATOR):
        raise TransitionRefused("permission", "Only a reviewer or an operator may check a website, and not that of their own organization.")
    if not organization.website:
        raise TransitionRefused("website", "It names no website.")
    known = last_homepage_check(organization)
    if known is not None and known.checked_at > now - COOL_DOWN:
        return known
    if checks.count("homepage", actor.id) > CHECKS_PER_MINUTE:
        raise TransitionRefused("too_many", "You checked many websites in the last minute. Wait a minute.")
    found = _look(organization.website, now)
    cache.set(_key(organization.website), asdict(found), KEPT.total_seconds())
    difference = {"website": [None, found.website], "answers": [None, found.answers]}
    audit.record(actor, "review.homepage_checked", organization, organization=None, difference=difference)
    return found


def _look(website: str, now: datetime) -> HomepageCheck:
    try:
        get_fetcher().fetch(standard_request(FetchPurpose.HOMEPAGE, website, past_caches=True))
    except FetchError as error:
        if error.reason in _ANSWERS:
            return HomepageCheck(website, True, "It answers.", now)
        if error.reason == "redirect":
            return HomepageCheck(website, True, "It answers with a redirect, which is not followed.", now)
        return HomepageCheck(website, False, error.description, now)
    return HomepageCheck(website, True, "It answers with a page.", now)


def _key(website: str) -> str:
    return "homepage-check-" + hashlib.sha256(website.encode("utf-8", "surrogatepass")).hexdigest()
