"""What holds on this server right now: lifetimes and limits, from the policy in force, the settings and the rooms that keep them.

Nothing is written down twice: a changed value changes every page that shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from authserver import families, id_tokens
from authserver import throttling as sign_in_throttling
from authserver.authorization import requests as authorization_requests
from dcr import initial_access_tokens
from dcr import throttling as registration_throttling
from federation import own_entity
from portal.api import throttling as api_throttling
from protocol import constants
from protocol.jose.purposes import REQUEST_OBJECT_LIFETIME
from registry import key_addresses, members, signing_keys
from registry.registration_policy import RegistrationPolicy

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    Label = _StrPromise | str

_DAY: Final = 86_400
_NONE: Final = _("none")


@dataclass(frozen=True, slots=True)
class Fact:
    """One value of this server: what it is called, in words, and where it comes from."""

    label: Label
    value: str
    source: str = ""


def lifetimes(policy: RegistrationPolicy) -> list[Fact]:
    """Return how long things live here."""
    toolkit = settings.OAUTH2_PROVIDER
    idle = policy.dynamic_client_idle_days
    return [
        Fact(_("Authorization code, which works once"), _long(toolkit["AUTHORIZATION_CODE_EXPIRE_SECONDS"])),
        Fact(_("Access token"), _long(policy.access_token_lifetime_seconds), "access_token_lifetime_seconds"),
        Fact(_("ID token"), _long(id_tokens.LIFETIME_SECONDS)),
        Fact(_("Refresh token that is not used; each works once"), _long(families.REFRESH_IDLE)),
        Fact(_("Pushed authorization request"), _long(authorization_requests.PUSHED_LIFETIME)),
        Fact(_("Client assertion, at most"), _long(constants.CLIENT_ASSERTION_LIFETIME)),
        Fact(_("Signed request object, at most"), _long(REQUEST_OBJECT_LIFETIME)),
        Fact(_("Tolerance for your clock"), _long(constants.CLOCK_LEEWAY)),
        Fact(_("Registration token, at most"), _long(initial_access_tokens.LONGEST_LIFE)),
        Fact(_("Invitation of a colleague"), _long(members.INVITATION_LIFETIME)),
        Fact(_("Copy of your keys when their address fails"), _long(key_addresses.KEPT_AFTER_FAILURE)),
        Fact(_("Longest time between two looks at a trust chain"), _long(settings.TRUST_CHECK_SECONDS)),
        Fact(_("Our own entity configuration"), _long(own_entity.LIFETIME)),
        Fact(_("Our retired keys stay published for"), _long(signing_keys.PUBLISHED_AFTER_RETIREMENT)),
        Fact(
            _("An app that registered itself may be idle for"), _long(idle * _DAY) if idle else str(_("ever")), "dynamic_client_idle_days"
        ),
    ]


def limits(policy: RegistrationPolicy) -> list[Fact]:
    """Return how much there may be of things, and how often may be asked."""
    return [
        Fact(_("Apps of an organization"), _number(policy.clients_limit), "clients_limit"),
        Fact(_("Redirect URIs of an app"), _number(policy.redirect_uris_limit), "redirect_uris_limit"),
        Fact(_("Keys in a key set"), _number(constants.KEYS_PER_SET_LIMIT)),
        Fact(_("A key set or a registration"), _kilobytes(constants.JWKS_LIMIT)),
        Fact(_("An entity statement"), _kilobytes(constants.ENTITY_STATEMENT_LIMIT)),
        Fact(_("A client ID or an address"), _characters(constants.CLIENT_ID_LIMIT)),
        Fact(_("Apps from one registration token"), _number(initial_access_tokens.USES_LIMIT)),
        Fact(_("Registrations from one network"), _per_minute(registration_throttling.PER_SOURCE)),
        Fact(_("Registrations with one token"), _per_minute(registration_throttling.PER_TOKEN)),
        Fact(_("Sign-ins started from one network"), _per_minute(sign_in_throttling.SIGN_INS_PER_SOURCE)),
        Fact(_("Failed authentications of one app"), _per_minute(sign_in_throttling.FAILURES_PER_CLIENT)),
        Fact(_("Requests of one app to the API"), _per_minute(api_throttling.REQUESTS_PER_CLIENT)),
    ]


def rules(policy: RegistrationPolicy) -> list[Fact]:
    """Return what every app is held to."""
    return [
        Fact(_("Authentication in test"), _listed(policy.token_endpoint_auth_methods), "token_endpoint_auth_methods"),
        Fact(_("Authentication in live"), _listed(policy.live_token_endpoint_auth_methods), "live_token_endpoint_auth_methods"),
        Fact(_("Grants"), _listed(policy.grant_types), "grant_types"),
        Fact(
            _("Grants that an entity of a federation needs a trust mark for"),
            _listed(policy.federation_grant_types_by_mark),
            "federation_grant_types_by_mark",
        ),
        Fact(_("Signatures of assertions and request objects"), _listed(policy.client_assertion_algorithms), "client_assertion_algorithms"),
        Fact(_("Signatures of ID tokens"), _listed(policy.id_token_algorithms), "id_token_algorithms"),
        Fact(_("Scopes of an app that asks for none"), _listed(policy.default_scopes), "default_scopes"),
        Fact(_("Scopes of an entity that declares none"), _listed(policy.federation_default_scopes), "federation_default_scopes"),
        Fact(_("Scopes that may be registered"), _listed(policy.allowed_scopes, _("all")), "allowed_scopes"),
        Fact(_("Hosts that may be redirected to"), _listed(policy.redirect_hosts, _("all")), "redirect_hosts"),
        Fact(_("Web apps in test may redirect to http on loopback"), _yes_or_no(policy.loopback_http_in_test), "loopback_http_in_test"),
        Fact(
            _("Authorization requests must be pushed"),
            _yes_or_no(policy.require_pushed_authorization_requests),
            "require_pushed_authorization_requests",
        ),
        Fact(_("Authorization requests must be signed"), _yes_or_no(policy.require_signed_request_object), "require_signed_request_object"),
        Fact(_("ID tokens carry org_id"), _yes_or_no(policy.org_id_in_id_token), "org_id_in_id_token"),
        Fact(_("Registration without a token"), _yes_or_no(settings.OPEN_REGISTRATION), "CREDENCE_OPEN_REGISTRATION"),
    ]


def policy_names(policy: RegistrationPolicy) -> Iterator[str]:
    """Yield every name that the facts take from, so that a test sees when a policy value is shown nowhere."""
    yield from (fact.source for fact in (*lifetimes(policy), *limits(policy), *rules(policy)) if fact.source)


def _long(length: timedelta | int) -> str:
    """Return a length of time in words, exactly: in the largest unit that it is a whole number of."""
    seconds = int(length.total_seconds()) if isinstance(length, timedelta) else length
    if seconds % 86_400 == 0:
        return ngettext("%(n)d day", "%(n)d days", seconds // 86_400) % {"n": seconds // 86_400}
    if seconds % 3600 == 0:
        return ngettext("%(n)d hour", "%(n)d hours", seconds // 3600) % {"n": seconds // 3600}
    if seconds % 60 == 0:
        return ngettext("%(n)d minute", "%(n)d minutes", seconds // 60) % {"n": seconds // 60}
    return ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds}


def _number(value: int) -> str:
    return str(value)


def _listed(values: tuple[str, ...], empty: Label = _NONE) -> str:
    return ", ".join(value for value in values if value) or str(empty)


def _yes_or_no(value: bool) -> str:
    return str(_("yes") if value else _("no"))


def _kilobytes(value: int) -> str:
    return f"{value // 1024} KB"


def _characters(value: int) -> str:
    return ngettext("%(n)d character", "%(n)d characters", value) % {"n": value}


def _per_minute(value: int) -> str:
    return ngettext("%(n)d a minute", "%(n)d a minute", value) % {"n": value}
