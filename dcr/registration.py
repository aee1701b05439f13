"""A machine registers a client: POST /register (RFC 7591, 3). In one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from dcr.initial_access_tokens import check_usable, count_use, find_initial_access_token, note_refusal, restrictions_of, token_actor
from dcr.models import InitialAccessToken, SoftwareStatementIssuer
from dcr.open_registration import OPEN_REGISTRATION, OPEN_RESTRICTIONS, get_open_organization
from dcr.registration_access_tokens import issue_registration_access_token
from dcr.software_statements import (
    VerifiedStatement,
    accept_statement,
    merge_statement,
    organization_of,
    require_same_organization,
    verify_statement,
)
from dcr.throttling import note_open_registration, note_token
from protocol.errors import (
    AccessDenied,
    InvalidSoftwareStatement,
    InvalidToken,
    MetadataRefused,
    ProtocolError,
    TokenMissing,
    TooManyRequests,
    TransitionRefused,
)
from registry.actors import Actor, software_publisher
from registry.client_keys import keep_fetched_keys
from registry.client_metadata import error_for_findings, read_client_metadata
from registry.findings import Finding, errors_among
from registry.lifecycle import register_dynamic_client
from registry.models import ChangeRequest, Client, Organization
from registry.remote_documents import RemoteDocuments, fetch_remote_documents, has_addresses


@dataclass(frozen=True, slots=True)
class Submission:
    """What a machine sent: the parsed body, the bearer token if it brought one, and where it came from."""

    document: Mapping[str, Any] = field(repr=False)
    bearer: str | None = field(repr=False)
    source_address: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Registration:
    """A client as it is registered now. Tokens and secrets are here once; `notes` say what the rules of this server changed, and why."""

    client: Client
    registration_access_token: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    notes: tuple[Finding, ...] = ()
    statement: str | None = field(default=None, repr=False)
    change_request: ChangeRequest | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document after everything that needs the network: the statement that it brought, merged into it, and what its addresses hold."""

    document: Mapping[str, Any]
    statement: VerifiedStatement | None = None
    remote: RemoteDocuments = field(default_factory=RemoteDocuments)


@dataclass(frozen=True, slots=True)
class Ground:
    """On what a client is registered: whose it will be, who registers it, and what it is held to."""

    organization: Organization
    actor: Actor
    stage: str
    restrictions: Mapping[str, Any]
    token: InitialAccessToken | None = None


@contextmanager
def refusals_kept(bearer: str | None, source_address: str, request_id: str, *, now: datetime) -> Iterator[None]:
    """Keep why a registration is refused inside the with block with the initial access token that it came with, for its owners."""
    try:
        yield
    except TooManyRequests:
        raise  # so many that writing them down would be the flood
    except ProtocolError as error:
        if bearer is not None:
            with suppress(InvalidToken):  # nobody's
                note_refusal(find_initial_access_token(bearer), error, source_address, request_id, now=now)
        raise


def register(submission: Submission, *, now: datetime) -> Registration:
    """Register a client and return it with its credentials.

    Raises TokenMissing or InvalidToken for the initial access token; OAuthError of RFC 7591, 3.2.2 for what the rules refuse; AccessDenied
    when the organization may not have another client; TooManyRequests; ServiceUnavailable.
    """
    try:
        return _register(submission, now)
    except MetadataRefused as error:
        raise error_for_findings(error.findings) from error
    except TransitionRefused as error:
        raise AccessDenied(error.description, detail=error.reason) from error


def _register(submission: Submission, now: datetime) -> Registration:
    statement_given = brings_statement(submission.document)
    if submission.bearer is not None and (statement_given or has_addresses(submission.document)):
        # Nobody makes this server verify or fetch anything who may not register. It is asked again under lock.
        check_usable(find_initial_access_token(submission.bearer), submission.source_address, now=now)
    elif submission.bearer is None and not statement_given:
        _check_statements_do_not_register()
        _let_strangers_in(submission)
    statement = read_statement(submission.document, now=now)
    if submission.bearer is None and statement is not None and not statement.issuer.replaces_initial_access_token:
        _let_strangers_in(submission)
    prepared = prepare(submission.document, statement, now=now)
    with transaction.atomic():
        return _write(_find_ground(submission, statement, now), prepared, now)


def _check_statements_do_not_register() -> None:
    """Tell who sent neither token nor statement about the statement, where one alone would do (DCR-SS-04)."""
    registering = SoftwareStatementIssuer.objects.filter(is_enabled=True, replaces_initial_access_token=True)
    if not settings.OPEN_REGISTRATION and registering.exists():
        sentence = "Send a software statement, or an initial access token as Bearer in the Authorization header."
        raise InvalidSoftwareStatement(sentence, members=("software_statement",))


def _let_strangers_in(submission: Submission) -> None:
    """Count a registration without a token where those are allowed. Raises TokenMissing or TooManyRequests."""
    if not settings.OPEN_REGISTRATION:
        raise TokenMissing
    note_open_registration(submission.source_address)


def brings_statement(document: Mapping[str, Any]) -> bool:
    """Say whether a document brings a software statement; null and the empty text count as left out (DCR-META-02)."""
    return document.get("software_statement") not in (None, "")


def read_statement(document: Mapping[str, Any], *, now: datetime) -> VerifiedStatement | None:
    """Return the verified software statement of a document, None when it brings none; raises what `verify_statement` raises."""
    return verify_statement(document["software_statement"], now=now) if brings_statement(document) else None


def prepare(document: Mapping[str, Any], statement: VerifiedStatement | None, *, now: datetime) -> Prepared:
    """Merge the statement into the document and fetch what the addresses in it lead to, outside of any transaction.

    Raises MetadataRefused with what is wrong behind the addresses, and whatever `merge_statement` raises.
    """
    if statement is not None:
        document = merge_statement(document, statement)
    if not has_addresses(document):
        return Prepared(document, statement)
    reading = read_client_metadata(document, now=int(now.timestamp()), allow_loopback_http=True)
    if reading.errors:
        return Prepared(document, statement)  # refused anyway, with everything there is to say
    remote = fetch_remote_documents(reading.metadata, now=now)
    if errors_among(remote.findings):
        raise MetadataRefused(remote.findings)
    return Prepared(document, statement, remote)


def _find_ground(submission: Submission, statement: VerifiedStatement | None, now: datetime) -> Ground:
    """Say on what the client is registered; the row of its organization is locked for the caller's transaction."""
    if submission.bearer is not None:
        token = find_initial_access_token(submission.bearer, lock=True)
        note_token(str(token.reference))
        check_usable(token, submission.source_address, now=now)
        if statement is not None:
            require_same_organization(statement, token.organization)
        actor = token_actor(token, request_id=submission.request_id, source_address=submission.source_address)
        return Ground(token.organization, actor, token.stage, restrictions_of(token), token)
    if statement is not None and statement.issuer.replaces_initial_access_token:
        actor = software_publisher(statement.issuer.issuer)
        return Ground(_lock(organization_of(statement, actor, now=now)), actor, statement.issuer.stage, {})
    return Ground(_lock(get_open_organization(now=now)), OPEN_REGISTRATION, Client.Stage.TEST, OPEN_RESTRICTIONS)


def _lock(organization: Organization) -> Organization:
    return Organization.objects.select_for_update().get(pk=organization.pk)


def _write(ground: Ground, prepared: Prepared, now: datetime) -> Registration:
    token, statement = ground.token, prepared.statement
    made = register_dynamic_client(
        ground.actor,
        ground.organization,
        prepared.document,
        now=now,
        stage=ground.stage,
        restrictions=ground.restrictions,
        is_news=token is None or token.uses == 0,
    )
    if token is not None:
        count_use(token, now=now)
    if statement is not None:
        accept_statement(made.client, statement, now=now)
    if prepared.remote.jwks is not None and prepared.remote.jwks_answer is not None:
        keep_fetched_keys(made.client, prepared.remote.jwks, prepared.remote.jwks_answer, now=now)
    issued = issue_registration_access_token(made.client, now=now, initial_access_token=token)
    return Registration(
        made.client,
        issued.value,
        made.secret.value if made.secret else None,
        made.assessment.findings + prepared.remote.findings,
        statement.raw if statement else None,
    )
