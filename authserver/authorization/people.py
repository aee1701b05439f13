"""What a person has to do before an app is answered: sign in, sign in again, consent (OpenID Connect Core, 3.1.2)."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID

from django.conf import settings

from authserver.authorization.authentication import SignedIn
from authserver.authorization.parameters import AuthorizationParameters
from authserver.consents import has_consented
from authserver.models import AuthorizationRequest
from protocol.errors import (
    AccessDenied,
    ConsentRequired,
    InvalidJwt,
    InvalidKeySet,
    InvalidRequest,
    InvalidRequestUri,
    LoginRequired,
    UnmetAuthenticationRequirements,
)
from protocol.jose import parse_jwk_set, parse_unverified, verify_jwt
from protocol.jose.purposes import ID_TOKEN
from protocol.urls import parse_entity_identifier
from registry.models import Client, Membership, Organization, SigningKey, User
from registry.signing_keys import get_keys

# How long a sign-in that the request asked for counts as new: time to read the consent page.
STEP_SECONDS: Final = 120


class Need(Enum):
    """What is needed next. To sign in takes all steps that the person has set up, to sign in again takes one of them."""

    SIGN_IN = "sign in"
    SIGN_IN_AGAIN = "sign in again"
    CONSENT = "consent"
    NOTHING = "nothing"


def open_request(reference: UUID, *, now: datetime) -> AuthorizationRequest:
    """Return the request that a page asks to go on with. Raises InvalidRequestUri when it is over."""
    row = AuthorizationRequest.objects.select_related("application__organization").filter(reference=reference, consumed_at=None).first()
    if row is None or not row.is_live or row.expires <= now:
        raise InvalidRequestUri("This sign-in took too long, or it was finished already. Start again from the app.")
    return row


def bind_to(row: AuthorizationRequest, user: User) -> None:
    """Bind a request to the first person who goes on with it. Raises InvalidRequestUri for another one (threats.md O13)."""
    if row.user_id is None:
        AuthorizationRequest.objects.filter(pk=row.pk, user=None).update(user=user)
        row.refresh_from_db(fields=["user"])
    if row.user_id != user.pk:
        raise InvalidRequestUri("Somebody else started this sign-in in this browser. Start again from the app.")


def next_need(row: AuthorizationRequest, parameters: AuthorizationParameters, signed_in: SignedIn | None, *, now: datetime) -> Need:
    """Say what is needed before the app can be answered.

    Raises OAuthError for what no page can mend: a test app and a stranger, a hint that names somebody else, anything with prompt=none.
    """
    need = _need(row, parameters, signed_in, now)
    if "none" in parameters.prompt and need is not Need.NOTHING:
        raise ConsentRequired if need is Need.CONSENT else LoginRequired
    return need


def _need(row: AuthorizationRequest, parameters: AuthorizationParameters, signed_in: SignedIn | None, now: datetime) -> Need:
    client = row.application
    if signed_in is None:
        return Need.SIGN_IN
    is_later = signed_in.auth_time >= row.created.timestamp()
    if not _reaches(parameters, signed_in):
        if is_later:
            raise UnmetAuthenticationRequirements
        return Need.SIGN_IN
    if _must_sign_in_again(parameters, signed_in, now, is_later=is_later):
        return Need.SIGN_IN if parameters.claims.essential_contexts else Need.SIGN_IN_AGAIN
    _check_subject(parameters, client, signed_in.user, now)
    _check_test_stage(client, signed_in.user)
    if "consent" in parameters.prompt or _can_be_imitated(client, parameters):
        return Need.CONSENT
    return Need.NOTHING if has_consented(signed_in.user, client, parameters.consent_scopes) else Need.CONSENT


def _can_be_imitated(client: Client, parameters: AuthorizationParameters) -> bool:
    """Say whether any program on the person's device could be this app, so that only the person can tell (RFC 8252, 8.6)."""
    return client.token_endpoint_auth_method == "none" and not parameters.redirect_uri.startswith("https://")


def may_be_sent_to(client: Client, user: User | None) -> bool:
    """Say whether a person may be sent to addresses of the app: its organization is approved, or they belong to it.

    Anybody can register an app in test; its addresses must not borrow this server's name (RFC 9700, 4.11.2; BCP-12).
    """
    return client.organization.state == Organization.State.APPROVED or (user is not None and _is_member(client, user))


def proven_name(client: Client) -> str:
    """Return by which name a person meets the app: the host that its trust chain proves, or the organization that a person looked at.

    An organization that came with an entity is called what the entity says, which nobody checked (threats.md R07).
    """
    by_federation = client.source in (Client.Source.FEDERATION_AUTOMATIC, Client.Source.FEDERATION_EXPLICIT)
    return parse_entity_identifier(client.client_id).host if by_federation else client.organization.legal_name


def _is_member(client: Client, user: User) -> bool:
    return Membership.objects.filter(organization=client.organization_id, user=user).exists()


def _must_sign_in_again(parameters: AuthorizationParameters, signed_in: SignedIn, now: datetime, *, is_later: bool) -> bool:
    """Say whether the sign-in is too old for the request.

    One that came after it, `is_later`, is what prompt=login asks for, and good for STEP_SECONDS at least, or max_age=0 would not end.
    """
    if "login" in parameters.prompt and not is_later:
        return True
    age = now.timestamp() - signed_in.auth_time
    return parameters.max_age is not None and age > max(parameters.max_age, STEP_SECONDS if is_later else 0)


def _reaches(parameters: AuthorizationParameters, signed_in: SignedIn) -> bool:
    """Say whether the sign-in is of a class that the app cannot do without (OpenID Connect Core, 5.5.1.1)."""
    essential = parameters.claims.essential_contexts
    return not essential or not set(essential).isdisjoint(signed_in.contexts)


def _check_subject(parameters: AuthorizationParameters, client: Client, user: User, now: datetime) -> None:
    """Refuse to answer about another person than the one that the app named (OpenID Connect Core, 3.1.2.1 and 5.5.1)."""
    own, named = str(user.sub), parameters.claims.subjects
    hinted = subject_of_hint(parameters.id_token_hint, client, now=now) if parameters.id_token_hint else own
    if hinted != own or (named and own not in named):
        raise LoginRequired("The app asks about another person than the one who is signed in.")


def _check_test_stage(client: Client, user: User) -> None:
    """Keep strangers from the consent page of a test app (house decision 9)."""
    if client.stage == Client.Stage.TEST and not _is_member(client, user):
        raise AccessDenied("This app is in test: only members of its organization can sign in to it.")


def subject_of_hint(hint: str, client: Client, *, now: datetime) -> str:
    """Return the subject of an ID token of ours for `client`, expired or not. Raises InvalidRequest."""
    published = get_keys(SigningKey.Purpose.PROTOCOL).public_jwks["keys"]
    try:
        jwt = parse_unverified(hint, max_length=ID_TOKEN.max_length)
        keys = parse_jwk_set({"keys": [key for key in published if key["kid"] == jwt.unverified_header.get("kid")]})
        verified = verify_jwt(ID_TOKEN, jwt, keys, int(now.timestamp()), issuer=settings.ISSUER)
    except (InvalidJwt, InvalidKeySet) as error:
        raise InvalidRequest(f"id_token_hint: {error.description}", members=("id_token_hint",)) from error
    audience = verified.claims["aud"]
    if client.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequest("id_token_hint was issued to another app.", members=("id_token_hint",))
    return str(verified.claims["sub"])


def audience_of_hint(hint: str) -> str:
    """Return the client_id that an ID token says it was issued to, unverified; empty when it says none."""
    try:
        audience = parse_unverified(hint, max_length=ID_TOKEN.max_length).unverified_claims.get("aud")
    except InvalidJwt:
        return ""
    return audience if isinstance(audience, str) else ""
