"""Initial access tokens: made by owners or staff, counted when they register a client, refused with a reason (RFC 7591, 3; DCR-IAT-*)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import QuerySet

from dcr.models import InitialAccessToken, RefusedRegistration, RegistrationProfile
from protocol.errors import InvalidToken, MetadataRefused, ProtocolError, TransitionRefused
from protocol.redaction import cut_credentials_from
from registry import audit
from registry.actors import Actor
from registry.compiled import CompiledQuery
from registry.digests import NewCredential, keyed_digest, random_credential
from registry.findings import Findings, errors_among
from registry.models import Client, Membership, Organization, Scope
from registry.models.audit import ActorKind
from registry.registration_policy import NARROWABLE, merge_policy, narrow_policy, review_policy_values
from registry.transitions import OPERATOR, OWNER, REVIEWER, SYSTEM

# What an owner may say of the clients of a token; more is in the profile that staff give it.
RESTRICTABLE: Final = ("grant_types", "token_endpoint_auth_methods", "allowed_scopes", "redirect_hosts")
USES_LIMIT: Final = 1000
LIST_LIMIT: Final = 50
SHORTEST_LIFE: Final = timedelta(minutes=1)
LONGEST_LIFE: Final = timedelta(days=366)
REFUSALS_KEPT: Final = 50
NewInitialAccessToken = NewCredential[InitialAccessToken]
_PURPOSE: Final = "initial-access-token"


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """What a new token allows. `restrictions` hold RESTRICTABLE values; an empty list there restricts nothing."""

    label: str
    expires_at: datetime
    uses_limit: int = 1
    stage: str = Client.Stage.TEST
    restrictions: Mapping[str, Any] = field(default_factory=dict)
    source_networks: tuple[str, ...] = ()
    profile: RegistrationProfile | None = None


def create_initial_access_token(organization: Organization, actor: Actor, terms: TokenTerms, *, now: datetime) -> NewInitialAccessToken:
    """Make a token for `organization`: an owner one for test apps, operators and commands any (portal.md 4.1).

    Raises TransitionRefused with reason permission or organization, or MetadataRefused with what is wrong with the terms.
    """
    with transaction.atomic():
        row = Organization.objects.select_for_update().get(pk=organization.pk)
        by_staff = actor.has_role(row, OPERATOR, SYSTEM)
        if not by_staff and not actor.has_role(row, OWNER):
            raise TransitionRefused("permission", "Only an owner may make registration tokens.")
        if row.state in (Organization.State.SUSPENDED, Organization.State.REJECTED, Organization.State.CLOSED):
            raise TransitionRefused("organization", f"The organization is {row.state_in_english}.")
        if not by_staff and (terms.stage != Client.Stage.TEST or terms.profile is not None):
            raise TransitionRefused("permission", "Only our staff may make tokens for live apps or with a profile.")
        restrictions = {name: list(value) for name, value in terms.restrictions.items() if value}
        findings = review_terms(terms, restrictions, now=now)
        if errors_among(findings):
            raise MetadataRefused(findings)
        value = random_credential("cci")
        token = InitialAccessToken.objects.create(
            organization=row,
            label=terms.label.strip(),
            digest=keyed_digest(value, _PURPOSE),
            tail=value[-4:],
            stage=terms.stage,
            uses_limit=terms.uses_limit,
            expires_at=terms.expires_at,
            restrictions=restrictions,
            source_networks=list(terms.source_networks),
            profile=terms.profile,
            made_by_staff=by_staff,
            created_by=actor.user,
            created_at=now,
            **({} if by_staff else _keeper(row, actor)),
        )
        audit.record(actor, "token.created", token, organization=row, difference=_as_difference(token))
        return NewCredential(token, value)


def _keeper(organization: Organization, actor: Actor) -> dict[str, Membership | Client]:
    """Return who keeps what the actor makes: the owner, or the app of the organization that has the rights of one."""
    if actor.kind == ActorKind.CLIENT:
        return {"kept_by_app": organization.clients.get(client_id=actor.id)}
    return {"kept_by": Membership.objects.get(organization=organization, user=actor.user)}


def review_terms(terms: TokenTerms, restrictions: Mapping[str, Any], *, now: datetime) -> tuple[Any, ...]:
    """Return the findings about the terms of a new token. One query."""
    findings = Findings()
    if not (1 <= len(terms.label.strip()) <= 60 and terms.label.strip().isprintable()):
        findings.error("token.label", "label", "A token needs a label of at most 60 printable characters.", "Say what it is for.")
    if not 1 <= terms.uses_limit <= USES_LIMIT:
        findings.error("token.uses", "uses_limit", f"A token registers between 1 and {USES_LIMIT} apps.")
    if not now + SHORTEST_LIFE <= terms.expires_at <= now + LONGEST_LIFE:
        findings.error("token.expires", "expires_at", f"A token ends between a minute and {LONGEST_LIFE.days} days from now.")
    if terms.stage not in Client.Stage.values:
        findings.error("token.stage", "stage", "The stage is test or live.")
    for name in sorted(set(restrictions) - set(RESTRICTABLE)):
        findings.error("token.restriction", "restrictions", f"{name[:60]} is not a restriction; known are {', '.join(RESTRICTABLE)}.")
    findings.items += review_policy_values({name: value for name, value in restrictions.items() if name in RESTRICTABLE})
    scopes = [name for name in restrictions.get("allowed_scopes", ()) if isinstance(name, str)]
    if unknown := sorted(set(scopes) - set(Scope.objects.filter(name__in=scopes, is_retired=False).values_list("name", flat=True))):
        findings.error("token.scope", "allowed_scopes", f"This server has no scope {', '.join(name[:60] for name in unknown)}.")
    for name, values in (("redirect_hosts", restrictions.get("redirect_hosts", ())), ("source_networks", terms.source_networks)):
        if len(values) > LIST_LIMIT:
            findings.error("token.limit", name, f"A token names at most {LIST_LIMIT} of them.")
    for position, network in enumerate(terms.source_networks[:LIST_LIMIT]):
        if not _is_network(network):
            findings.error(
                "token.network",
                f"source_networks[{position}]",
                f"{network[:60]!r} is no network.",
                "Write it as 192.0.2.0/24 or 2001:db8::/32.",
            )
    return tuple(findings.items)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "%" not in text  # a zone names an interface of one machine


def _as_difference(token: InitialAccessToken) -> dict[str, list[Any]]:
    told = ("label", "stage", "uses_limit", "restrictions", "source_networks")
    values = {name: getattr(token, name) for name in told} | {"expires_at": token.expires_at.isoformat(), "tail": token.tail}
    if token.profile:
        values["profile"] = token.profile.name
    return {name: [None, value] for name, value in values.items() if value not in ([], {})}


def revoke_initial_access_token(token: InitialAccessToken, actor: Actor, *, now: datetime) -> None:
    """End a token at once; what it registered stays. Raises TransitionRefused with reason permission."""
    with transaction.atomic():
        row = _lock(token, actor, "Only an owner may end registration tokens.", OWNER, REVIEWER, OPERATOR, SYSTEM)
        if row.revoked_at is None:
            row.revoked_at = now
            row.save(update_fields=["revoked_at"])
            audit.record(actor, "token.revoked", row, organization=row.organization)


def adopt_initial_access_token(token: InitialAccessToken, actor: Actor) -> None:
    """Make the acting owner the keeper of a token, so that it outlasts the membership of whoever made it.

    A token that ended with its keeper's membership works again, since an owner wants it to. Raises TransitionRefused with reason permission
    or state.
    """
    with transaction.atomic():
        row = _lock(token, actor, "Only an owner may adopt a registration token.", OWNER)
        if actor.user is None or row.made_by_staff:
            raise TransitionRefused("permission", "A token of our staff is kept by our staff.")
        if row.revoked_at is not None:
            raise TransitionRefused("state", "This token was revoked; make another one.")
        before, row.kept_by = row.keeper, Membership.objects.get(organization=row.organization, user=actor.user)
        if before == actor.user:
            return
        row.kept_by_app = None
        row.save(update_fields=["kept_by", "kept_by_app"])
        difference = {"keeper": [str(before) if before else None, actor.label]}
        audit.record(actor, "token.adopted", row, organization=row.organization, difference=difference)


def _lock(token: InitialAccessToken, actor: Actor, refusal: str, *roles: str) -> InitialAccessToken:
    row = InitialAccessToken.objects.select_for_update(of=("self",)).select_related("organization").get(pk=token.pk)
    if not actor.has_role(row.organization, *roles):
        raise TransitionRefused("permission", refusal)
    return row


def with_keeper() -> QuerySet[InitialAccessToken]:
    """Return tokens with everything that says whether they can be used."""
    return InitialAccessToken.objects.select_related("organization", "profile", "kept_by__user", "kept_by_app")


def standing_of(token: InitialAccessToken, now: datetime) -> tuple[str, str]:
    """Return how a token of `with_keeper` stands, as a stable word and a sentence; `active` and the empty string when it registers."""
    organization = token.organization
    over = organization.state in (Organization.State.SUSPENDED, Organization.State.REJECTED, Organization.State.CLOSED)
    not_yet = token.stage == Client.Stage.LIVE and organization.state != Organization.State.APPROVED
    standings = (
        (token.revoked_at is not None, "revoked", "The initial access token was revoked."),
        (token.expires_at <= now, "expired", "The initial access token is expired."),
        (token.uses >= token.uses_limit, "used_up", f"The initial access token is used up: {token.uses} of {token.uses_limit}."),
        (not token.is_kept, "unkept", "Who kept the initial access token is no owner, or no active app, any more; an owner can adopt it."),
        (over, "organization", f"The organization is {organization.state_in_english}."),
        (not_yet, "organization", "The organization is not approved, so it has no live apps."),
    )
    return next(((word, sentence) for is_so, word, sentence in standings if is_so), ("active", ""))


def why_unusable(token: InitialAccessToken, now: datetime) -> str:
    """Return in one sentence why a token of `with_keeper` registers nothing, the empty string when it does."""
    return standing_of(token, now)[1]


def find_initial_access_token(presented: str, *, lock: bool = False) -> InitialAccessToken:
    """Return the token whose value is `presented`; with `lock`, it and its organization are locked for the caller's transaction.

    One query. Raises InvalidToken when there is none.
    """
    rows = (_LOCKED if lock else _FOUND).rows(keyed_digest(presented, _PURPOSE))
    if not rows:
        raise InvalidToken("The initial access token is unknown.")
    return rows[0]


# What a registration reads; the rest is loaded when it is asked for.
_NEEDED_TO_REGISTER: Final = (
    *("reference", "label", "tail", "stage", "uses_limit", "uses", "expires_at", "restrictions", "source_networks"),
    *("made_by_staff", "revoked_at", "organization", "profile", "kept_by", "kept_by_app"),
    *("organization__org_id", "organization__state", "organization__slug", "organization__legal_name", "organization__is_operator"),
    *("profile__name", "profile__values", "profile__is_hardened", "profile__is_read_only", "kept_by__role"),
)


def _with_digest(digest: str) -> QuerySet[InitialAccessToken]:
    rows = InitialAccessToken.objects.select_related("organization", "profile", "kept_by").filter(digest=digest)
    return rows.only(*_NEEDED_TO_REGISTER).order_by()


_FOUND: Final = CompiledQuery(_with_digest)
_LOCKED: Final = CompiledQuery(lambda digest: _with_digest(digest).select_for_update(of=("self", "organization")))


def check_usable(token: InitialAccessToken, source_address: str, *, now: datetime) -> None:
    """Refuse a token that registers nothing now, or not from this address. Raises InvalidToken."""
    if reason := why_unusable(token, now):
        raise InvalidToken(reason)
    networks = [ipaddress.ip_network(network) for network in token.source_networks]
    if networks and not _is_within(source_address, networks):
        raise InvalidToken("The initial access token may not be used from this address.")


def _is_within(source_address: str, networks: Iterable[Any]) -> bool:
    try:
        address = ipaddress.ip_address(source_address)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)


def count_use(token: InitialAccessToken, *, now: datetime) -> None:
    """Count one use, in the transaction that registers. Raises InvalidToken when there is none left."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_USE, [connection.ops.adapt_datetimefield_value(now), token.pk])
        counted = cursor.rowcount
    if not counted:
        raise InvalidToken(f"The initial access token is used up: {token.uses_limit} of {token.uses_limit}.")


_COUNT_USE: Final = (
    "UPDATE dcr_initialaccesstoken SET uses = uses + 1, last_used_at = %s WHERE id = %s AND uses < uses_limit AND revoked_at IS NULL"
)


def note_refusal(token: InitialAccessToken, error: ProtocolError, source_address: str, request_id: str, *, now: datetime) -> None:
    """Keep why a registration with `token` was refused, for its owners; the oldest make room."""
    with transaction.atomic():
        RefusedRegistration.objects.create(
            token=token,
            refused_at=now,
            error=error.code,
            description=cut_credentials_from(error.description)[:1000],
            members=list(error.members)[:20],
            source_address=source_address or None,
            request_id=request_id,
        )
        kept = token.refused.order_by("-refused_at", "-id").values("pk")[:REFUSALS_KEPT]
        token.refused.exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()


def restrictions_of(token: InitialAccessToken) -> dict[str, Any]:
    """Return what the clients of a token are held to: its own restrictions and those of its profile, whichever is narrower."""
    if token.profile is None:
        return dict(token.restrictions)
    narrowed = narrow_policy(merge_policy(token.profile.values), token.restrictions)
    names = set(token.restrictions) | set(token.profile.values)
    return {name: list(value) if isinstance(value := getattr(narrowed, name), tuple) else value for name in NARROWABLE if name in names}


def token_actor(token: InitialAccessToken, *, request_id: str, source_address: str) -> Actor:
    """Return the actor for what is done with a token."""
    return Actor(
        kind=ActorKind.INITIAL_ACCESS_TOKEN,
        id=str(token.reference),
        label=str(token),
        request_id=request_id,
        source_address=source_address or None,
        roles=lambda organization: frozenset((SYSTEM,)) if organization == token.organization else frozenset(),
    )
