"""What a reviewer should look at, found by machine: hints as findings, never a decision (portal.md 4.5, review page)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from protocol.errors import InvalidKeySet, InvalidUrl
from protocol.urls import parse_authority, split_uri
from registry.client_keys import clients_sharing_keys
from registry.findings import Finding, Findings
from registry.lifecycle.assessment import assess_metadata
from registry.models import ChangeRequest, Client, Membership, Organization, Scope
from registry.sensitivity import reasons_for_review


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
            words = f"{twin.legal_name} ({twin.country or 'no country'}, {twin.get_state_display().lower()}) {sentence}."
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
    return tuple(findings.items)


def _check_redirect_hosts(organization: Organization, wanted: Mapping[str, Any], findings: Findings) -> None:
    domains = domains_of(organization)
    for index, uri in enumerate(wanted.get("redirect_uris", ())):
        host = host_of(uri)
        if host and domains and not _within(host, domains):
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
