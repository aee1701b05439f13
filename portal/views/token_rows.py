"""Initial access tokens as pages show them: how they stand, what they allow, who answers for them, and how to register with one."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from authserver.endpoints import endpoint_url
from dcr.initial_access_tokens import restrictions_of, standing_of, with_keeper
from dcr.models import InitialAccessToken, RefusedRegistration
from registry.models import Client
from registry.registration_policy import RegistrationPolicy

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

_LABELS: Final[dict[str, _StrPromise]] = {
    "grant_types": gettext_lazy("Grants"),
    "token_endpoint_auth_methods": gettext_lazy("Authentication"),
    "live_token_endpoint_auth_methods": gettext_lazy("Authentication in live"),
    "client_assertion_algorithms": gettext_lazy("Signatures of apps"),
    "id_token_algorithms": gettext_lazy("Signatures of ID tokens"),
    "default_scopes": gettext_lazy("Scopes of an app that asks for none"),
    "allowed_scopes": gettext_lazy("Scopes"),
    "redirect_hosts": gettext_lazy("Redirect hosts"),
    "redirect_uris_limit": gettext_lazy("Redirect URIs at most"),
    "loopback_http_in_test": gettext_lazy("Loopback redirects"),
    "require_pushed_authorization_requests": gettext_lazy("Pushed requests required"),
    "require_signed_request_object": gettext_lazy("Signed requests required"),
}


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as the templates show it; `standing` is the name of a badge. Neither `maker` nor `keeper` names anybody of staff."""

    row: InitialAccessToken
    standing: str
    why: str
    restrictions: list[tuple[str, str]]
    maker: str
    keeper: str


def tokens_to_show() -> QuerySet[InitialAccessToken]:
    """Return tokens with their people, and in `refusals` how many refused attempts are kept of each."""
    refused = RefusedRegistration.objects.filter(token=OuterRef("pk")).order_by().values("token").annotate(n=Count("pk")).values("n")
    counted = Coalesce(Subquery(refused, output_field=IntegerField()), 0)
    return with_keeper().select_related("organization", "profile", "kept_by__user", "kept_by_app", "created_by").annotate(refusals=counted)


def describe_token(token: InitialAccessToken, now: datetime) -> TokenRow:
    """Return a token with everything that is said of it."""
    standing, why = standing_of(token, now)
    badge = "blocked" if standing == "organization" else standing
    maker = token.created_by or token.kept_by_app or _("an app, or somebody who left")
    people = [_("our staff")] * 2 if token.made_by_staff else [str(maker), str(token.keeper or _("nobody"))]
    return TokenRow(token, badge, why, restriction_words(token), *people)


def restriction_words(token: InitialAccessToken) -> list[tuple[str, str]]:
    """Return label and value of everything that the clients of a token are held to."""
    words = [(str(_LABELS[name]), _in_words(value)) for name, value in restrictions_of(token).items()]
    if token.source_networks:
        words.append((_("Used from"), ", ".join(token.source_networks)))
    return words


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return ", ".join(one for one in value if one) or _("none") if isinstance(value, list) else str(value)


def example_document(policy: RegistrationPolicy, stage: str = Client.Stage.TEST) -> dict[str, Any]:
    """Return the shortest document that `policy` lets register."""
    machine = "client_credentials" in policy.grant_types
    document: dict[str, Any] = {"client_name": "My app"}
    document["grant_types"] = ["client_credentials"] if machine else [one for one in policy.grant_types if one != "refresh_token"]
    place = next((host for host in policy.redirect_hosts if host), "app.example.org")
    is_native = not machine and place.endswith(":")
    if not machine:
        document["redirect_uris"] = [f"{place}/callback" if is_native else f"https://{place}/callback"]
    methods = policy.token_endpoint_auth_methods if stage == Client.Stage.TEST else policy.live_token_endpoint_auth_methods
    if is_native:
        document |= {"application_type": "native", "token_endpoint_auth_method": "none"}
    elif "client_secret_basic" not in methods and methods:
        best = next((one for one in ("client_secret_post", "private_key_jwt") if one in methods), methods[0])
        document["token_endpoint_auth_method"] = best
    if scopes := [name for name in policy.allowed_scopes if name]:
        document["scope"] = scopes[0]
    return document


def needs_keys(document: dict[str, Any]) -> bool:
    """Say whether what registers by `document` has to bring its public keys."""
    return document.get("token_endpoint_auth_method") == "private_key_jwt"


def register_command(document: dict[str, Any], token: str = "") -> str:
    """Return the command that registers `document`: with the value of a token, or with the variable TOKEN.

    Keys come from the file jwks.json, since nobody else can know them.
    """
    text = json.dumps(document)
    data = f"""'{text[:-1]}, "jwks": '"$(cat jwks.json)"'}}'""" if needs_keys(document) else shlex.quote(text)
    lines = [
        f"curl {shlex.quote(endpoint_url('registration_endpoint'))}",
        f'--header "Authorization: Bearer {token or "$TOKEN"}"',
        '--header "Content-Type: application/json"',
        f"--data {data}",
    ]
    return " \\\n  ".join(lines)
