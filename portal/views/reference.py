"""What this server is and does, read from the configuration and the policy that are in force."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from authserver.documents import configuration_snapshot, metadata_snapshot
from federation.models import TrustAnchorRecord
from federation.registration import as_time
from portal.documentation.facts import lifetimes, limits, rules
from protocol.errors import NotFound, ServiceUnavailable
from protocol.jose import parse_unverified
from registry.policies import get_policy
from registry.signing_keys import list_published_keys

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.functional import _StrPromise

_ENTITY_LIMIT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """A document that this server publishes: what it is called and where it is."""

    name: _StrPromise
    url: str


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a document: its values in words, one by one when there are several."""

    name: str
    values: tuple[str, ...]
    is_address: bool


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """Show issuer, endpoints, capabilities, rules, lifetimes, limits, keys and trust anchors."""
    now, policy = timezone.now(), get_policy()
    members = _members(metadata_snapshot.get()["openid"])
    context = {
        "documents": _documents(),
        "endpoints": [member for member in members if member.is_address and member.name != "issuer"],
        "capabilities": [member for member in members if not member.is_address],
        "rules": rules(policy),
        "lifetimes": lifetimes(policy),
        "limits": limits(policy),
        "keys": list_published_keys(now),
        "anchors": TrustAnchorRecord.objects.filter(is_enabled=True).values_list("entity_id", flat=True),
        "entity": _own_entity(now),
    }
    return render(request, "reference.html", context)


def _documents() -> list[Document]:
    names = {
        "openid-configuration": _("OpenID Connect discovery"),
        "oauth-authorization-server": _("Authorization server metadata (RFC 8414)"),
        "jwks": _("Keys of tokens (JWK Set)"),
        "openid-federation": _("Entity configuration (JWT)"),
        "signed-jwks": _("Keys of tokens, signed (JWT)"),
    }
    return [Document(words, settings.ISSUER + reverse(name)) for name, words in names.items()]


def _members(document: dict[str, Any]) -> list[Member]:
    """Return every member of a document, in its order."""
    return [
        Member(name, tuple(_word(one) for one in (value if isinstance(value, list) else [value])), name == "issuer" or _is_address(value))
        for name, value in document.items()
    ]


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _own_entity(now: datetime) -> dict[str, Any]:
    """Return the claims of this server's entity configuration, or why there is none."""
    try:
        token = configuration_snapshot.get().current(now)
    except (NotFound, ServiceUnavailable) as error:
        return {"missing": error.description}
    claims = dict(parse_unverified(token, max_length=_ENTITY_LIMIT).unverified_claims)
    return {
        "entity_id": claims["sub"],
        "superiors": claims.get("authority_hints", []),
        "marks": [mark["trust_mark_type"] for mark in claims.get("trust_marks", [])],
        "issued_at": as_time(claims["iat"]),
        "expires_at": as_time(claims["exp"]),
        "claims": json.dumps(claims, indent=2, ensure_ascii=False, default=dict),
    }
