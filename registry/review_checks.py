"""What a reviewer should look at, found by machine: hints as findings, never a decision (portal.md 4.5, review page)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from protocol.errors import InvalidKeySet, InvalidUrl
from protocol.jose import parse_jwk_set_once
from protocol.urls import parse_authority, split_uri
from registry.client_keys import clients_sharing_keys
from registry.findings import Finding, Findings
from registry.lifecycle.assessment import assess_metadata
from registry.models import AuditEvent, ChangeRequest, Client, ClientKeySet, Membership, Organization, Scope
from registry.sensitivity import reasons_for_review

# RSA below this is accepted and on its way out (NIST SP 800-57 part 1 rev. 5, table 4: 112 bits of security until 2030).
STRONG_RSA_BITS: Final = 3072
# Where native apps listen on the person's own machine (RFC 8252, 7.3); it belongs to nobody else.
LOOPBACK_HOSTS: Final = frozenset(("127.0.0.1", "::1", "[::1]"))
_TRUST_WORDS: Final = {
    Client.Trust.STALE: "Its trust chain could not be checked last time; the result before still counts.",
    Client.Trust.SUSPECT: "Its trust is in doubt until a second look.",
    Client.Trust.BROKEN: "Its trust chain is broken: it gets no tokens.",
}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One automatic check: what holds when it passes, whether it does, and what was found."""

    title: str
    passed: bool
    findings: tuple[Finding, ...]


# What each check says when it passes, and the codes of the findings that are about it. What no row names is in the last one.
ORGANIZATION_CHECKS: Final = (
    ("Number, name and website are nobody else's", ("org.twin_",)),
    ("Owners and contacts write from its domains", ("org.owner_", "org.contact_", "org.no_domains")),
)
CLIENT_CHECKS: Final = (
    ("Redirects stay within the organization's domains", ("redirect_uri.elsewhere",)),
    ("Its keys are strong and nobody else's", ("jwks.", "jwks_uri.")),
    ("It asks for no sensitive scope", ("scope.sensitive",)),
)
CHANGE_CHECKS: Final = (*CLIENT_CHECKS, ("It may do no more than before", ("change.widens",)), ("It passes the rules for live apps", ("",)))
CHAIN_CHECK: Final = ("Its trust chain is valid", ("trust.",))


def results_of(checks: Iterable[tuple[str, tuple[str, ...]]], findings: Iterable[Finding]) -> list[CheckResult]:
    """Return each of `checks` with those `findings` that are about it; notes are shown and do not fail a check."""
    results, left = [], list(findings)
    for title, codes in checks:
        found = tuple(finding for finding in left if finding.code.startswith(codes))
        left = [finding for finding in left if finding not in found]
        results.append(CheckResult(title, all(finding.level == "note" for finding in found), found))
    return results


def checks_of_client(client: Client, checks: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return `checks`, with that of the trust chain for an app of a federation."""
    return checks if client.trust == Client.Trust.NONE else (CHAIN_CHECK, *checks)


def changes_since_review(organization: Organization) -> dict[str, list[Any]]:
    """Return what changed since the organization was last sent back, rejected or withdrawn, each as [before, after]. Two queries."""
    events = AuditEvent.objects.filter(organization=organization, object_type="organization", object_id=str(organization.org_id))
    decisions = ("org.changes_requested", "org.rejected", "org.withdrawn")
    last = events.filter(event__in=decisions).values_list("id", flat=True).first()
    if last is None:
        return {}
    changed: dict[str, list[Any]] = {}
    for difference in events.filter(event="org.updated", id__gt=last).order_by("id").values_list("difference", flat=True)[:50]:
        for name, (before, after) in difference.items():
            changed[name] = [changed.get(name, [before])[0], after]
    return {name: pair for name, pair in changed.items() if pair[0] != pair[1]}


def check_organization(organization: Organization) -> tuple[Finding, ...]:
    """Return what a reviewer of `organization` should look at: who it may be already, and what does not belong to it."""
    findings = Findings()
    _check_twins(organization, findings)
    domains = domains_of(organization)
    if not domains:
        findings.note("org.no_domains", "email_domains", "It gave neither a website nor e-mail domains to compare with.")
        return tuple(findings.items)
    owners = organization.memberships.filter(role=Membership.Role.OWNER).values_list("user__email", flat=True)
    contacts = organization.contacts.values_list("email", flat=True)
    for label, addresses in (("owner", owners), ("contact", contacts)):
        if strangers := sorted({address for address in addresses if not _within(address.rpartition("@")[2], domains)}):
            words = f"Addresses of {label}s outside its domains: {', '.join(strangers[:5])}."
            findings.warning(f"org.{label}_elsewhere", f"{label}s", words, f"Its domains: {', '.join(sorted(domains))}.")
    return tuple(findings.items)


def _check_twins(organization: Organization, findings: Findings) -> None:
    """Find organizations that may be the same one."""
    others = Organization.objects.exclude(pk=organization.pk)
    questions = (
        ("registration_number", "has the same registration number", organization.registration_number),
        ("legal_name", "has the same name", organization.legal_name),
        ("website", "has the same website", organization.website),
    )
    for member, sentence, value in questions:
        if not value:
            continue
        for twin in others.filter(**{f"{member}__iexact": value})[:3]:
            words = f"{twin.legal_name} ({twin.country or 'no country'}, {twin.state_in_english}) {sentence}."
            findings.warning(f"org.twin_{member}", member, words)


def domains_of(organization: Organization) -> frozenset[str]:
    """Return the domains that `organization` says are its own: those of its e-mail, and the host of its website."""
    domains = {str(domain).lower() for domain in organization.email_domains}
    if organization.website and (host := host_of(organization.website)):
        domains.add(host.removeprefix("www."))
    return frozenset(domains)


def host_of(uri: str) -> str:
    """Return the host of `uri`, or an empty string when it has none."""
    try:
        parts = split_uri(uri)
        return parse_authority(parts.authority).host if parts.authority else ""
    except InvalidUrl:
        return ""


def _within(host: str, domains: Iterable[str]) -> bool:
    return any(host.lower() == domain or host.lower().endswith(f".{domain}") for domain in domains)


def check_change_request(request: ChangeRequest, *, now: datetime) -> tuple[Finding, ...]:
    """Return what a reviewer of `request`, loaded with its client and organization, should look at."""
    client = request.client
    findings = Findings()
    for sentence in reasons_for_review(client.metadata, request.metadata):
        findings.warning("change.widens", "metadata", sentence)
    items = [*findings.items, *check_client(client, request.metadata)]
    seen = {finding.code for finding in items}
    assessed = assess_metadata(
        request.metadata, client.organization, stage=Client.Stage.LIVE, now=now, restrictions=client.restrictions
    ).findings
    return (*items, *(finding for finding in assessed if finding.code not in seen))


def check_client(client: Client, metadata: Mapping[str, Any] | None = None) -> tuple[Finding, ...]:
    """Return what a reviewer of `client` should look at, as registered or with the `metadata` it asks for."""
    wanted = client.metadata if metadata is None else metadata
    findings = Findings()
    _check_redirect_hosts(client.organization, wanted, findings)
    _check_scopes(wanted, findings)
    _check_shared_keys(client, wanted, findings)
    _check_strength(client, wanted, findings)
    if client.trust in _TRUST_WORDS:
        findings.warning(f"trust.{client.trust}", "trust", _TRUST_WORDS[Client.Trust(client.trust)], "Its page says which step failed.")
    return tuple(findings.items)


def _check_redirect_hosts(organization: Organization, wanted: Mapping[str, Any], findings: Findings) -> None:
    domains = domains_of(organization)
    for index, uri in enumerate(wanted.get("redirect_uris", ())):
        host = host_of(uri)
        if host and host not in LOOPBACK_HOSTS and domains and not _within(host, domains):
            words = f"{host} is not of the organization's domains: {', '.join(sorted(domains))}."
            findings.warning("redirect_uri.elsewhere", f"redirect_uris[{index}]", words, "Ask who runs this host.")


def _check_scopes(wanted: Mapping[str, Any], findings: Findings) -> None:
    names = str(wanted.get("scope", "")).split()
    for scope in Scope.objects.filter(name__in=names, is_sensitive=True):
        findings.warning("scope.sensitive", "scope", f"Asks for the sensitive scope {scope.name}: {scope.title}.", "Does it need this?")


def _check_shared_keys(client: Client, wanted: Mapping[str, Any], findings: Findings) -> None:
    try:
        sharing = list(clients_sharing_keys(client, wanted.get("jwks")).select_related("organization")[:5])
    except InvalidKeySet as error:
        findings.error("jwks.unusable", "jwks", f"Its keys cannot be read: {error.description}")
        return
    for other in sharing:
        words = f"{other.name} of {other.organization.legal_name} has the same key."
        findings.warning("jwks.shared", "jwks", words, "Two organizations with one private key can act as each other. Ask why.")


def _check_strength(client: Client, wanted: Mapping[str, Any], findings: Findings) -> None:
    """Say of a key that it is weak, and of an address that no keys were found there."""
    jwks, uri = wanted.get("jwks"), wanted.get("jwks_uri")
    if uri:
        row = ClientKeySet.objects.filter(client=client, jwks_uri=uri).first()
        jwks = row.jwks if row else None
        if row is not None and row.failure:
            findings.warning("jwks_uri.failing", "jwks_uri", f"Its keys cannot be fetched: {row.failure}", "Ask for the address again.")
    try:
        keys = parse_jwk_set_once(jwks).keys if jwks else ()
    except InvalidKeySet:
        return  # said already, by whoever compared the keys
    for key in keys:
        if key.kty == "RSA" and key.bits < STRONG_RSA_BITS:
            findings.note("jwks.rsa_short", "jwks", f"An RSA key of {key.bits} bits; good until 2030.", "ES256 is smaller and stronger.")
