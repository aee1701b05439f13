"""What every page may show about this installation: `{{ portal.issuer }}` and friends (`site` is taken by allauth)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from registry.banners import due_banners

if TYPE_CHECKING:
    from django.http import HttpRequest

    from registry.models import Banner, Membership

PRODUCT_NAME = "Credence"


@dataclass
class Portal:
    """This installation, as one request sees it. Only `memberships` asks the database, and only when a page reads it."""

    request: HttpRequest | None = None
    name: str = PRODUCT_NAME

    @property
    def issuer(self) -> str:
        """The issuer identifier of this authorization server."""
        return str(settings.ISSUER)

    @property
    def is_loopback(self) -> bool:
        """Whether this is a server on one's own machine, which pages say so that nobody takes it for production."""
        return bool(settings.ISSUER_IS_LOOPBACK)

    @property
    def request_id(self) -> str:
        """The id that log, audit and support know this request by."""
        return getattr(self.request, "request_id", "")

    @cached_property
    def banners(self) -> list[Banner]:
        """What staff want everybody to read now, from memory."""
        return due_banners(timezone.now())

    @cached_property
    def memberships(self) -> list[Membership]:
        """The signed-in person's memberships with their organizations, by name."""
        user = getattr(self.request, "user", None)
        if user is None or not user.is_authenticated:
            return []
        return list(user.memberships.select_related("organization").order_by("organization__legal_name"))


def site(request: HttpRequest) -> dict[str, Portal]:
    """Return the context of every page."""
    return {"portal": Portal(request)}
