"""What an organization says of itself: read, normalized and checked, the same for the form, the admin and the command line. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.errors import InvalidUrl
from protocol.urls import parse_authority
from registry.client_metadata import values
from registry.findings import Finding, Findings, errors_among

CONTACT_KINDS: Final = ("technical", "security", "business", "billing", "incident")
DOMAINS_LIMIT: Final = 20
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_LIMITS: Final = {"legal_name": 200, "registration_number": 60, "website": 500}


@dataclass(frozen=True, slots=True)
class OrganizationDetails:
    """The values that may be stored, the contacts by kind, and everything there is to say about both."""

    values: dict[str, Any]
    contacts: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return the findings that refuse."""
        return errors_among(self.findings)


def read_organization_details(given: Mapping[str, object], contacts: Mapping[str, str] | None = None) -> OrganizationDetails:
    """Read the fields in `given` and the e-mail address of each contact kind; what is not given is not looked at.

    Empty values are allowed, a name excepted: what a review needs is asked for at submission. All findings are collected (threats.md R07).
    """
    findings = Findings()
    read = {name: reader(given[name], name, findings) for name, reader in _READERS.items() if name in given}
    addresses = {kind: _read_contact(kind, address, findings) for kind, address in (contacts or {}).items()}
    kept = {name: value for name, value in read.items() if value is not None}
    return OrganizationDetails(kept, {kind: address for kind, address in addresses.items() if address is not None}, tuple(findings.items))


def _read_name(value: object, path: str, findings: Findings) -> str | None:
    text = values.read_name(value, path, findings)
    if text == "":
        findings.error("name.missing", path, "An organization needs a legal name.")
        return None
    return _within_limit(text, path, findings)


def _within_limit(text: str | None, path: str, findings: Findings) -> str | None:
    if text is not None and len(text) > _LIMITS[path]:
        findings.error("value.too_long", path, f"This must have at most {_LIMITS[path]} characters.")
        return None
    return text


def _read_number(value: object, path: str, findings: Findings) -> str | None:
    """Return a registration number without spaces around it; what it looks like differs by country, so a reviewer judges it."""
    text = values.read_name(value, path, findings)
    return _within_limit(text, path, findings)


def _read_country(value: object, path: str, findings: Findings) -> str | None:
    if value == "" or (isinstance(value, str) and _COUNTRY.fullmatch(value)):
        return str(value)
    findings.error("country.code", path, "A country is given by its two capital letters (ISO 3166-1).")
    return None


def _read_website(value: object, path: str, findings: Findings) -> str | None:
    if value == "":
        return ""
    found = Findings()
    text = values.read_https_url(value, path, found)
    for finding in found.items:
        findings.error(finding.code, path, finding.sentence.replace(path, "The website", 1), "Write it as https://www.example.org.")
    return _within_limit(text, path, findings)


def _read_domains(value: object, path: str, findings: Findings) -> list[str] | None:
    entries = values.read_strings(value, path, findings, limit=DOMAINS_LIMIT)
    if entries is None:
        return None
    domains = [entry.strip().lower().removeprefix("@") for entry in entries]
    wrong = [position for position, domain in enumerate(domains) if not _is_domain(domain)]
    for position in wrong:
        findings.error(
            "email_domains.domain",
            f"{path}[{position}]",
            "This is not a domain.",
            "Write it as example.org, without @ and without https://.",
        )
    return None if wrong else list(dict.fromkeys(domains))


def _is_domain(text: str) -> bool:
    try:
        authority = parse_authority(text)
    except InvalidUrl:
        return False
    return authority.kind == "name" and authority.port is None and "." in authority.host


def _read_contact(kind: str, address: str, findings: Findings) -> str | None:
    path = f"contact_{kind}"
    if kind not in CONTACT_KINDS:
        findings.error("contacts.kind", path[:60], f"A contact is one of {', '.join(CONTACT_KINDS)}.")
        return None
    if address == "":
        return ""
    found = Findings()
    if values.read_contacts([address], path, found) is None:
        findings.error("contacts.email", path, "A contact must be a plain e-mail address.", "Write it without mailto:.")
        return None
    return address


_READERS: Final = {
    "legal_name": _read_name,
    "registration_number": _read_number,
    "country": _read_country,
    "website": _read_website,
    "email_domains": _read_domains,
}
