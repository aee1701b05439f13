"""The three ways to register an app, in the words of the landing page, the list of apps and the wizard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

BY_HAND, BY_SOFTWARE, BY_FEDERATION = "manual", "dcr", "federation"


@dataclass(frozen=True)
class RegistrationWay:
    """One way to register an app."""

    name: str
    title: _StrPromise
    choose_if: _StrPromise
    how: _StrPromise
    icon: str


WAYS: Final = (
    RegistrationWay(
        BY_HAND,
        _("By hand"),
        _("Choose this if you have a few apps and a person who looks after them."),
        _("Fill in a form here. A test app works at once; you ask for approval when it is ready to go live."),
        "pencil",
    ),
    RegistrationWay(
        BY_SOFTWARE,
        _("Dynamic registration"),
        _("Choose this if your software registers itself, once per installation or per customer."),
        _("Your software sends its metadata to the registration endpoint with a token you made here (RFC 7591)."),
        "code",
    ),
    RegistrationWay(
        BY_FEDERATION,
        _("OpenID Federation"),
        _("Choose this if your organization is in a federation this server trusts."),
        _("You publish one signed document. This server reads it and checks the chain up to a trust anchor."),
        "chain",
    ),
)
