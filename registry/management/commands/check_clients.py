"""manage.py check_clients [--apply] [--grace-days N] [--organization SLUG] [--json]"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from registry.actors import COMMAND_LINE
from registry.client_checks import GRACE, CheckedClient, SettledClient, check_clients, settle_clients
from registry.findings import Finding
from registry.models import Organization

LONGEST_GRACE: Final = 365
_OUTCOMES: Final = (("found", "newly found"), ("passed", "fine again"), ("suspended", "suspended"))


class Command(BaseCommand):
    """Say who would break under today's rules, and enforce them after a grace period."""

    help = (
        "Hold every registered app, whatever way it came, against today's policy and key rules, and show by organization which would "
        "break and why; exit status 1 when one would. Nothing is written without --apply and nothing is ever fetched."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--apply",
            action="store_true",
            help="write the findings down with the day from which they are enforced, mail the owners, forget what is mended, and suspend "
            "the apps whose day has come; a task does the same every day, with 30 days of grace",
        )
        parser.add_argument(
            "--grace-days", type=int, default=GRACE.days, help="days from a new finding to its enforcement, 1 to 365; days set before stay"
        )
        parser.add_argument("--organization", metavar="SLUG", help="the apps of this organization only")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show who would break, and apply that if it is asked for."""
        if not 1 <= options["grace_days"] <= LONGEST_GRACE:
            raise CommandError(f"--grace-days: a number from 1 to {LONGEST_GRACE}.")
        report = _Report(options["apply"])
        now, grace, organization = timezone.now(), timedelta(days=options["grace_days"]), _organization(options["organization"])
        if options["apply"]:
            report.add_settled(settle_clients(now, COMMAND_LINE, grace=grace, organization=organization))
        else:
            report.add_checked(check_clients(now, grace=grace, organization=organization))
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            for line in report.as_lines():
                self.stdout.write(line)
        if report.totals["breaking"]:
            sys.exit(1)


def _organization(slug: str | None) -> Organization | None:
    if slug is None:
        return None
    found = Organization.objects.filter(slug=slug).first()
    if found is None:
        raise CommandError(f"--organization: there is no organization {slug}.")
    return found


class _Report:
    """What was found, by organization."""

    def __init__(self, applied: bool) -> None:
        self.applied = applied
        self.totals: Counter[str] = Counter(apps=0, breaking=0, warned=0)
        self.outcomes: Counter[str] = Counter()
        self.organizations: dict[Organization, list[CheckedClient]] = defaultdict(list)

    def add_settled(self, found: Iterable[SettledClient]) -> None:
        """Add apps with what came of them."""
        for settled in found:
            self.outcomes[settled.outcome] += 1
            self.add_checked([settled.checked])

    def add_checked(self, found: Iterable[CheckedClient]) -> None:
        """Add apps; those that are fine are counted only."""
        for checked in found:
            self.totals["apps"] += 1
            self.totals["breaking"] += checked.check is not None
            self.totals["warned"] += bool(checked.warnings)
            if checked.check or checked.warnings:
                self.organizations[checked.client.organization].append(checked)

    def as_lines(self) -> Iterator[str]:
        """Yield the report for a person."""
        for organization, apps in self._sorted():
            yield _shown(f"{organization.legal_name} ({organization.slug})")
            for checked in apps:
                yield from _lines(checked)
        yield (
            f"{self.totals['apps']} apps examined: {self.totals['breaking']} break today's rules, {self.totals['warned']} have warnings, "
            f"in {len(self.organizations)} organizations."
        )
        if self.applied:
            yield f"Applied: {', '.join(f'{self.outcomes[name]} {words}' for name, words in _OUTCOMES)}."
        else:
            yield "Nothing was changed. With --apply the owners are told, and what still breaks on the day named is suspended."

    def as_json(self) -> dict[str, Any]:
        """Return the report as data."""
        organizations = [
            {"slug": organization.slug, "name": organization.legal_name, "apps": [_as_json(checked) for checked in apps]}
            for organization, apps in self._sorted()
        ]
        applied = {name: self.outcomes[name] for name, _ in _OUTCOMES} if self.applied else None
        return {"organizations": organizations, "totals": dict(self.totals), "applied": applied}

    def _sorted(self) -> list[tuple[Organization, list[CheckedClient]]]:
        return sorted(self.organizations.items(), key=lambda item: (item[0].legal_name, item[0].pk))


def _lines(checked: CheckedClient) -> Iterator[str]:
    client, check = checked.client, checked.check
    when = ""
    if check is not None:
        when = f"  to be suspended on {check.enforce_at:%Y-%m-%d}" if check.is_open else f"  was suspended on {check.enforced_at:%Y-%m-%d}"
    if check is not None and client.organization.is_operator:
        when = "  never suspended for it: an app of this server's own"
    yield f"  {_shown(client.name)}  {client.client_id}  {client.get_source_display()}, {client.stage}, {client.state}{when}"
    for finding in check.broken_rules if check else ():
        yield f"    breaks   {_sentence(finding)}"
    for finding in checked.warnings:
        yield f"    warning  {_sentence(finding)}"


def _sentence(finding: Finding) -> str:
    return _shown(f"{finding.field}: {finding.sentence} {finding.hint}".strip())


def _as_json(checked: CheckedClient) -> dict[str, Any]:
    client, check = checked.client, checked.check
    warnings = [{"code": one.code, "field": one.field, "sentence": one.sentence, "hint": one.hint} for one in checked.warnings]
    return {
        "client_id": client.client_id,
        "name": client.name,
        "source": client.source,
        "stage": client.stage,
        "state": client.state,
        "breaks": check.findings if check else [],
        "enforce_at": check.enforce_at.isoformat() if check else None,
        "enforced_at": check.enforced_at.isoformat() if check and check.enforced_at else None,
        "warnings": warnings,
    }


def _shown(text: str) -> str:
    """Return foreign words so that they cannot steer a terminal."""
    return text if text.isprintable() else repr(text)
