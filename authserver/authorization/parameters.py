"""Parameters of an authorization request: a list of named checks, pure but for the client they are checked against.

What is wrong before client and redirect URI are proven is shown on a page; everything after that is answered to the app (RFC 9700, 4.11).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from authserver.authorization.claims import CLAIMS_LIMIT, NO_CLAIMS, RequestedClaims, read_claims
from protocol.errors import InvalidRequest, InvalidScope, InvalidTarget, InvalidUrl, UnauthorizedClient, UnsupportedResponseType
from protocol.urls import parse_authority, split_uri
from registry.entitlements import explain_refused_scopes
from registry.models import Client

RESPONSE_MODES: Final = ("query", "form_post")
PROMPTS: Final = ("none", "login", "consent")
# Everything that is read; what else comes is ignored (RFC 6749, 3.1).
NAMES: Final = frozenset(
    (
        *("client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge"),
        *("code_challenge_method", "prompt", "max_age", "login_hint", "id_token_hint", "acr_values", "claims", "resource"),
        *("request", "request_uri"),
    )
)
TEXT_LIMIT: Final = 2048
# RFC 7636, 4.2: the base64url SHA-256 of the verifier.
_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_NO_TEXT = re.compile(r"[\0\ud800-\udfff]")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class RedirectUriUnproven(InvalidRequest):
    """The redirect URI is missing or not registered: nothing is sent there; a page shows the developer why.

    `received` and `registered` are what came and what is registered.
    """

    def __init__(self, received: str, registered: Collection[str]) -> None:
        self.received, self.registered = received, tuple(registered)
        super().__init__("The redirect_uri of this request is not registered for this app.", members=("redirect_uri",))


@dataclass(frozen=True, slots=True)
class AuthorizationParameters:
    """A checked request. Times are in seconds."""

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    code_challenge: str
    response_mode: str = "query"
    state: str | None = None
    nonce: str = ""
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    login_hint: str = ""
    id_token_hint: str = ""
    acr_values: tuple[str, ...] = ()
    claims: RequestedClaims = NO_CLAIMS
    resource: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the parameters as JSON members, for the row that keeps them."""
        return asdict(self)

    @property
    def consent_scopes(self) -> tuple[str, ...]:
        """Return the scopes that the person is asked to allow: those of the request and of the claims that it names one by one."""
        return tuple(dict.fromkeys((*self.scope, *self.claims.scopes)))

    @property
    def preferred_contexts(self) -> tuple[str, ...]:
        """Return the authentication context classes that the app would like, the most wanted first."""
        return (*self.claims.wanted_contexts, *self.acr_values)

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> AuthorizationParameters:
        """Return the parameters that `as_json` wrote."""
        lists = {name: tuple(members[name]) for name in ("scope", "prompt", "acr_values", "resource")}
        return cls(**{**members, **lists, "claims": RequestedClaims.from_json(members["claims"])})


def check_text(raw: Mapping[str, str]) -> None:
    """Refuse values that no database can keep and no URL can carry: U+0000 and halves of surrogate pairs. Raises InvalidRequest."""
    if any(_NO_TEXT.search(value) for value in raw.values()):
        raise InvalidRequest("A parameter holds characters that are no text.")


def prove_redirect_uri(raw: Mapping[str, str], client: Client) -> str:
    """Return the redirect URI if it is registered, exactly (BCP-01). Raises RedirectUriUnproven."""
    redirect_uri = raw.get("redirect_uri", "")
    if not redirect_uri or not client.redirect_uri_allowed(redirect_uri):
        raise RedirectUriUnproven(redirect_uri, client.registered_redirect_uris)
    return redirect_uri


def response_mode_of(raw: Mapping[str, str]) -> str:
    """Return how to answer, query for anything that is not offered, so that the error about it can be answered."""
    mode = raw.get("response_mode", "query")
    return mode if mode in RESPONSE_MODES else "query"


def read_parameters(
    raw: Mapping[str, str], client: Client, entitled: Collection[str], *, needs_challenge: bool = True
) -> AuthorizationParameters:
    """Check a request whose client and redirect URI are proven. `entitled` are the scopes that the client may be granted now.

    Only a request that its app signed or pushed may come without a PKCE challenge, and only where `needs_challenge` says so.
    Raises OAuthError with the code to answer.
    """
    for name, value in raw.items():
        if len(value) > (CLAIMS_LIMIT if name == "claims" else TEXT_LIMIT) and name not in ("id_token_hint", "request"):
            raise InvalidRequest(f"The parameter {name[:60]} is too long.", members=(name[:60],))
    _check_response(raw, client)
    return AuthorizationParameters(
        client_id=client.client_id,
        redirect_uri=prove_redirect_uri(raw, client),
        scope=_read_scope(raw, client, entitled),
        code_challenge=_read_code_challenge(raw, needed=needs_challenge),
        response_mode=response_mode_of(raw),
        state=raw.get("state"),
        nonce=_read_nonce(raw),
        prompt=_read_prompt(raw),
        max_age=_read_max_age(raw, client),
        login_hint=raw.get("login_hint", ""),
        id_token_hint=raw.get("id_token_hint", ""),
        acr_values=tuple(raw.get("acr_values", "").split()),
        claims=read_claims(raw["claims"], entitled) if "claims" in raw else NO_CLAIMS,
        resource=check_resources(raw.get("resource", "").split()),
    )


def check_resources(resources: Collection[str]) -> tuple[str, ...]:
    """Return the resources, each once, that a token shall be for: absolute URIs without a fragment. Raises InvalidTarget (RFC 8707, 2)."""
    refused = InvalidTarget("A resource is not an absolute URI without a fragment.", members=("resource",))
    for resource in resources:
        try:
            uri = split_uri(resource)
            if uri.authority:
                parse_authority(uri.authority)
        except InvalidUrl as error:
            raise refused from error
        if uri.fragment is not None:
            raise refused
    return tuple(dict.fromkeys(resources))


def _check_response(raw: Mapping[str, str], client: Client) -> None:
    if "response_type" not in raw:
        raise InvalidRequest("The parameter response_type is missing.", members=("response_type",))
    if raw["response_type"] != "code":
        raise UnsupportedResponseType(members=("response_type",))
    if "authorization_code" not in client.grant_types:
        raise UnauthorizedClient("This app did not register the grant authorization_code.")
    if raw.get("response_mode", "query") not in RESPONSE_MODES:
        raise InvalidRequest(f"response_mode must be one of {', '.join(RESPONSE_MODES)}.", members=("response_mode",))


def _read_scope(raw: Mapping[str, str], client: Client, entitled: Collection[str]) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(raw.get("scope", "").split(" "))) if raw.get("scope") else ()
    if not scopes:
        raise InvalidScope("The parameter scope is missing; a request without it gets nothing.", members=("scope",))
    refused = [scope for scope in scopes if not _SCOPE_TOKEN.fullmatch(scope) or scope not in entitled]
    if refused:
        raise InvalidScope(explain_refused_scopes(refused, client), members=("scope",))
    return scopes


def _read_code_challenge(raw: Mapping[str, str], *, needed: bool) -> str:
    """Return the S256 challenge (BCP-02; threats.md O08), empty where none is needed and none came (docs/decisions/0017)."""
    challenge = raw.get("code_challenge", "")
    if not challenge and not needed and "code_challenge_method" not in raw:
        return ""
    if not challenge:
        raise InvalidRequest("The parameter code_challenge is missing: PKCE is required (RFC 7636).", members=("code_challenge",))
    if raw.get("code_challenge_method", "plain") != "S256":
        raise InvalidRequest("code_challenge_method must be S256.", members=("code_challenge_method",))
    if not _S256_CHALLENGE.fullmatch(challenge):
        raise InvalidRequest("code_challenge must be 43 characters of base64url: a SHA-256.", members=("code_challenge",))
    return challenge


def _read_nonce(raw: Mapping[str, str]) -> str:
    nonce = raw.get("nonce", "")
    if len(nonce) > 255:
        raise InvalidRequest("nonce must have at most 255 characters.", members=("nonce",))
    return nonce


def _read_prompt(raw: Mapping[str, str]) -> tuple[str, ...]:
    prompts = tuple(dict.fromkeys(raw.get("prompt", "").split()))
    if not set(prompts) <= set(PROMPTS):
        raise InvalidRequest(f"prompt must be of {', '.join(PROMPTS)}.", members=("prompt",))
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequest("prompt=none cannot stand beside another prompt.", members=("prompt",))
    return prompts


def _read_max_age(raw: Mapping[str, str], client: Client) -> int | None:
    text = raw.get("max_age")
    if text is None:
        return client.metadata.get("default_max_age")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise InvalidRequest("max_age must be a whole number of seconds.", members=("max_age",))
    return int(text)
