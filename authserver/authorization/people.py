"""What a person has to do before an app is answered: sign in, sign in again, consent (OpenID Connect Core, 3.1.2)."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from uuid import UUID

from django.conf import settings

from authserver.authorization.authentication import SignedIn
from authserver.authorization.parameters import AuthorizationParameters
from authserver.consents import has_consented
from authserver.models import AuthorizationRequest
from protocol.errors import (
    AccessDenied,
    InvalidJwt,
    InvalidRequest,
    InvalidRequestUri,
    LoginRequired,
    UnauthorizedClient,
    UnmetAuthenticationRequirements,
)
from protocol.jose import parse_jwk_set, verify_jwt
from protocol.jose.purposes import ID_TOKEN
from registry.gate import Action, client_may_act
from registry.models import Client, Membership, SigningKey, User
from registry.signing_keys import get_keys


class Need(Enum):
    """What is needed next."""

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
    """Bind a request to the first person who goes on with it. Raises AccessDenied for another one (threats.md O13)."""
    if row.user_id is None:
        AuthorizationRequest.objects.filter(pk=row.pk, user=None).update(user=user)
        row.refresh_from_db(fields=["user"])
    if row.user_id != user.pk:
        raise AccessDenied("Somebody else started this sign-in in this browser. Start again from the app.")


def next_need(row: AuthorizationRequest, parameters: AuthorizationParameters, signed_in: SignedIn | None, *, now: datetime) -> Need:
    """Say what is needed before the app can be answered.

    Raises OAuthError for what no page can mend: the gate, a test app and a stranger, a hint that names somebody else.
    """
    client = row.application
    verdict = client_may_act(client, Action.AUTHORIZE, now)
    if not verdict.allowed:
        raise UnauthorizedClient(verdict.sentence)
    if signed_in is None:
        return Need.SIGN_IN
    if _must_sign_in_again(row, parameters, signed_in, now):
        return Need.SIGN_IN_AGAIN
    _check_context(parameters, signed_in)
    _check_subject(parameters, client, signed_in.user, now)
    _check_test_stage(client, signed_in.user)
    if "consent" not in parameters.prompt and has_consented(signed_in.user, client, parameters.consent_scopes):
        return Need.NOTHING
    return Need.CONSENT


def _must_sign_in_again(row: AuthorizationRequest, parameters: AuthorizationParameters, signed_in: SignedIn, now: datetime) -> bool:
    """Say whether the sign-in is too old for the request. One that came after it never is, or max_age=0 would ask without end."""
    if signed_in.auth_time >= row.created.timestamp():
        return False
    is_too_old = parameters.max_age is not None and now.timestamp() - signed_in.auth_time > parameters.max_age
    return "login" in parameters.prompt or is_too_old or not _reaches(parameters, signed_in)


def _reaches(parameters: AuthorizationParameters, signed_in: SignedIn) -> bool:
    """Say whether the sign-in is of a class that the app cannot do without (OpenID Connect Core, 5.5.1.1)."""
    essential = parameters.claims.essential_contexts
    return not essential or not set(essential).isdisjoint(signed_in.contexts)


def _check_context(parameters: AuthorizationParameters, signed_in: SignedIn) -> None:
    if not _reaches(parameters, signed_in):
        raise UnmetAuthenticationRequirements


def _check_subject(parameters: AuthorizationParameters, client: Client, user: User, now: datetime) -> None:
    """Refuse to answer about another person than the one that the app named (OpenID Connect Core, 3.1.2.1 and 5.5.1)."""
    own, named = str(user.sub), parameters.claims.subjects
    hinted = subject_of_hint(parameters.id_token_hint, client, now=now) if parameters.id_token_hint else own
    if hinted != own or (named and own not in named):
        raise LoginRequired("The app asks about another person than the one who is signed in.")


def _check_test_stage(client: Client, user: User) -> None:
    """Keep strangers from the consent page of a test app (house decision 9)."""
    is_test = client.stage == Client.Stage.TEST
    if is_test and not Membership.objects.filter(organization=client.organization_id, user=user).exists():
        raise AccessDenied("This app is in test: only members of its organization can sign in to it.")


def subject_of_hint(hint: str, client: Client, *, now: datetime) -> str:
    """Return the subject of an ID token of ours for `client`, expired or not. Raises InvalidRequest."""
    keys = parse_jwk_set(get_keys(SigningKey.Purpose.PROTOCOL).public_jwks)
    try:
        verified = verify_jwt(ID_TOKEN, hint, keys, int(now.timestamp()), issuer=settings.ISSUER)
    except InvalidJwt as error:
        raise InvalidRequest(f"id_token_hint: {error.description}", members=("id_token_hint",)) from error
    audience = verified.claims["aud"]
    if client.client_id not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidRequest("id_token_hint was issued to another app.", members=("id_token_hint",))
    return str(verified.claims["sub"])
