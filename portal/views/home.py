"""The landing page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.utils.functional import _StrPromise


@dataclass(frozen=True)
class RegistrationWay:
    """One way to register an app."""

    name: str
    title: _StrPromise
    choose_if: _StrPromise
    how: _StrPromise
    icon: str


WAYS = (
    RegistrationWay(
        "manual",
        _("By hand"),
        _("Choose this if you have a few apps and a person who looks after them."),
        _("Fill in a form here. A test app works at once; you ask for approval when it is ready to go live."),
        "pencil",
    ),
    RegistrationWay(
        "dcr",
        _("Dynamic registration"),
        _("Choose this if your software registers itself, once per installation or per customer."),
        _("Your software sends its metadata to the registration endpoint with a token you made here (RFC 7591)."),
        "code",
    ),
    RegistrationWay(
        "federation",
        _("OpenID Federation"),
        _("Choose this if your organization is in a federation this server trusts."),
        _("You publish one signed document. This server reads it and checks the chain up to a trust anchor."),
        "chain",
    ),
)


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
    return render(request, "home.html", {"ways": WAYS, "facts": server_facts()})
