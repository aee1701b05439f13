"""A client reads, replaces and deletes its own registration (RFC 7592). An update passes exactly what a create passes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from dcr.models import AcceptedStatement, RegistrationAccessToken
from dcr.registration import Prepared, Registration, Submission, brings_statement, prepare, read_statement
from dcr.registration_access_tokens import check_may_write, registration_actor, revoke, rotate
from dcr.software_statements import accept_statement, require_same_organization
from protocol.errors import (
    AccessDenied,
    InvalidRequest,
    InvalidSoftwareStatement,
    InvalidToken,
    MetadataRefused,
    PreconditionFailed,
    TransitionRefused,
    UnapprovedSoftwareStatement,
)
from protocol.strict_json import canonical_json
from registry.actors import Actor
from registry.client_keys import keep_fetched_keys
from registry.client_metadata import error_for_findings
from registry.credentials import create_secret, is_secret_of, live_secrets
from registry.lifecycle import change_client, update_client
from registry.models import ChangeRequest, Client

# RFC 7592, 2.2: what the server says, a client must not send.
_SERVERS_OWN: Final = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


def read_registration(token: RegistrationAccessToken, presented: str) -> Registration:
    """Return the registration of the client that a token belongs to. At most two queries."""
    client = token.client
    return Registration(client, presented, statement=_statement_of(client), change_request=_open_request(client))


def _open_request(client: Client) -> ChangeRequest | None:
    return ChangeRequest.objects.filter(client=client, state=ChangeRequest.State.OPEN).first()


def _statement_of(client: Client) -> str | None:
    return AcceptedStatement.objects.filter(client=client).values_list("statement", flat=True).first()


def version_of(client: Client) -> str:
    """Return the entity tag of a registration: equal as long as what is registered is equal (RFC 9110, 8.8.3)."""
    return f'"{hashlib.sha256(canonical_json(client.metadata)).hexdigest()[:32]}"'


def replace_registration(
    token: RegistrationAccessToken, submission: Submission, *, now: datetime, if_match: str | None = None
) -> Registration:
    """Replace a registration by the document of `submission`, whose bearer is the token that was presented (RFC 7592, 2.2).

    What needs approval becomes a change request: the client stays as it is and the answer says so. Raises InvalidRequest for what only
    the server says, PreconditionFailed, OAuthError of RFC 7591, 3.2.2, AccessDenied; then nothing changed.
    """
    check_may_write(token)
    client = token.client
    _check_identity(client, submission.document, now)
    _check_statement_is_given(client, submission.document)
    actor = registration_actor(token, request_id=submission.request_id, source_address=submission.source_address)
    try:
        statement = read_statement(submission.document, now=now)
        if statement is not None:
            require_same_organization(statement, client.organization)
        prepared = prepare(submission.document, statement, now=now)
        with transaction.atomic():
            check_version(client, if_match)
            return _replace(token, submission.bearer or "", prepared, actor, now)
    except MetadataRefused as error:
        raise error_for_findings(error.findings) from error
    except TransitionRefused as error:
        raise AccessDenied(error.description, detail=error.reason) from error


def _check_identity(client: Client, document: Mapping[str, Any], now: datetime) -> None:
    """Check the members that name the client, and that none is there which only the server says (DCR-MGT-07 to -09)."""
    if document.get("client_id") != client.client_id:
        raise InvalidRequest("Send client_id as it was registered.", members=("client_id",))
    if forbidden := [name for name in _SERVERS_OWN if name in document]:
        raise InvalidRequest(f"Leave out {', '.join(forbidden)}: only the server says them.", members=tuple(forbidden))
    secret = document.get("client_secret")
    if secret is not None and not (isinstance(secret, str) and is_secret_of(client, secret, now)):
        raise InvalidRequest("client_secret is not the current one, and a client cannot choose it.", members=("client_secret",))


def _check_statement_is_given(client: Client, document: Mapping[str, Any]) -> None:
    """Refuse to forget the statement that a client was registered with: what it vouches for would become self-asserted (DCR-SS-04)."""
    if not brings_statement(document) and AcceptedStatement.objects.filter(client=client).exists():
        raise InvalidSoftwareStatement("This client was registered with a software statement; send one.", members=("software_statement",))


def check_version(client: Client, if_match: str | None) -> None:
    """Compare If-Match under lock, so that of two updates that read the same version one fails (DCR-MGT-17)."""
    row = Client.objects.select_for_update(of=("self",)).get(pk=client.pk)
    if if_match is not None and if_match.strip() != "*" and version_of(row) not in [one.strip() for one in if_match.split(",")]:
        raise PreconditionFailed


def _replace(token: RegistrationAccessToken, presented: str, prepared: Prepared, actor: Actor, now: datetime) -> Registration:
    update = update_client(token.client, actor, prepared.document, now=now)
    client, statement, secret = update.client, prepared.statement, None
    if statement is not None:  # it counts from now on, also when what it came with waits for a person
        _check_same_issuer(client, statement.issuer.pk)
        accept_statement(client, statement, now=now)
    if update.change_request is None:
        if prepared.remote.jwks is not None and prepared.remote.jwks_answer is not None:
            keep_fetched_keys(client, prepared.remote.jwks, prepared.remote.jwks_answer, now=now)
        if client.uses_secret and not live_secrets(client, now).exists():
            secret = create_secret(client, actor, now=now, label="registration").value
    value = rotate(token, now=now) if token.is_hardened else presented
    notes = update.assessment.findings + prepared.remote.findings
    return Registration(client, value, secret, notes, _statement_of(client), update.change_request or _open_request(client))


def _check_same_issuer(client: Client, issuer: int) -> None:
    before = AcceptedStatement.objects.filter(client=client).values_list("issuer", flat=True).first()
    if before is not None and before != issuer:
        raise UnapprovedSoftwareStatement("This client was registered with a statement of another issuer.", members=("software_statement",))


def delete_registration(token: RegistrationAccessToken, *, now: datetime, request_id: str = "", source_address: str = "") -> None:
    """Close the client for good; its tokens and codes end in this transaction, and so does the token (RFC 7592, 2.3).

    Raises AccessDenied, or InvalidToken when somebody closed it at the same time.
    """
    check_may_write(token)
    actor = registration_actor(token, request_id=request_id, source_address=source_address)
    try:
        with transaction.atomic():
            change_client(token.client, "close", actor, now=now)
            revoke(token, actor, now=now, reason="its registration was deleted")
    except TransitionRefused as error:
        raise InvalidToken from error
