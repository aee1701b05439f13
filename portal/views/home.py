"""The landing page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from portal.registration_ways import WAYS

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.utils.functional import _StrPromise


# The page of the documentation that says how, by way.
_GUIDES: Final = {"manual": "by-hand", "dcr": "dynamic", "federation": "federation"}


def server_facts() -> list[tuple[_StrPromise, str]]:
    """Return the addresses a developer copies first, as far as they are served."""
    facts = [
        (_("Issuer"), settings.ISSUER),
        (_("Metadata"), address("openid-configuration") or address("oauth-authorization-server")),
        (_("Token endpoint"), address("token")),
        (_("Registration endpoint"), address("register")),
    ]
    return [(label, value) for label, value in facts if value]


def address(name: str) -> str:
    """Return the full address of the page or endpoint `name`, or nothing when this server does not have it."""
    try:
        return f"{settings.ISSUER}{reverse(name)}"
    except NoReverseMatch:
        return ""


def home(request: HttpRequest) -> HttpResponse:
    """Say what this server is, how to register, and where its endpoints are."""
    return render(
        request, "home.html", {"ways": [(way, reverse("docs_page", args=[_GUIDES[way.name]])) for way in WAYS], "facts": server_facts()}
    )
