"""Issuing the code that answers a request."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from authserver.authorization.authentication import SignedIn
from authserver.authorization.parameters import AuthorizationParameters
from authserver.consents import lock_consent
from authserver.models import AuthorizationRequest, Grant
from protocol.errors import AccessDenied, InvalidRequestUri
from registry.digests import random_credential

CODE_LIFETIME: Final = timedelta(seconds=60)


def issue_code(row: AuthorizationRequest, parameters: AuthorizationParameters, signed_in: SignedIn, *, now: datetime) -> str:
    """Use up a request and return the code for it.

    Raises InvalidRequestUri when it was used up before (PAR-11), AccessDenied when the person took their consent back meanwhile.
    """
    with transaction.atomic():
        if not use_up(row, now=now):
            raise InvalidRequestUri("This sign-in was answered already. Start again from the app.")
        if not lock_consent(signed_in.user, row.application, parameters.consent_scopes):
            raise AccessDenied("The person took their consent back.")
        code = random_credential("cac")
        Grant.objects.create(
            application=row.application,
            user=signed_in.user,
            code=code,
            expires=now + CODE_LIFETIME,
            redirect_uri=parameters.redirect_uri,
            scope=" ".join(parameters.scope),
            resource=list(parameters.resource),
            code_challenge=parameters.code_challenge,
            code_challenge_method=Grant.CODE_CHALLENGE_S256 if parameters.code_challenge else "",
            nonce=parameters.nonce,
            claims=" ".join(parameters.claims.names),
            auth_time=int(signed_in.auth_time),
            acr=signed_in.context(parameters.preferred_contexts),
            amr=" ".join(signed_in.methods),
        )
        return code


def use_up(row: AuthorizationRequest, *, now: datetime) -> bool:
    """Use up a request, so that it is answered once; say whether it was not used up before."""
    return bool(AuthorizationRequest.objects.filter(pk=row.pk, consumed_at=None).update(consumed_at=now))
