"""manage.py create_initial_access_token --organization SLUG"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from dcr.models import RegistrationProfile
from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import COMMAND_LINE
from registry.models import Client, Organization

A_DAY = 86_400


class Command(BaseCommand):
    """Makes an initial access token and prints it; it is shown this once."""

    help = "Make an initial access token for an organization and print it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the token allows."""
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--uses", type=int, default=1, help="how many apps it registers (default 1)")
        parser.add_argument("--expires-in", type=int, default=A_DAY, metavar="SECONDS", help="default a day")
        parser.add_argument("--label", default="command line")
        parser.add_argument("--stage", choices=Client.Stage.values, default=Client.Stage.TEST)
        parser.add_argument("--profile", metavar="NAME", help="a registration profile made in the admin")
        for option, what in (
            ("grant", "grant type"),
            ("method", "token_endpoint_auth_method"),
            ("scope", "scope"),
            ("redirect-host", "host"),
        ):
            parser.add_argument(f"--{option}", action="append", default=[], help=f"allow only this {what}; may be repeated")
        parser.add_argument("--source", action="append", default=[], metavar="CIDR", help="allow only this network; may be repeated")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the token."""
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']}; manage.py create_organization NAME makes one.")
        profile = RegistrationProfile.objects.filter(name=options["profile"]).first() if options["profile"] else None
        if options["profile"] and profile is None:
            raise CommandError(f"There is no registration profile {options['profile']}.")
        now = timezone.now()
        terms = TokenTerms(
            label=options["label"],
            expires_at=now + timedelta(seconds=options["expires_in"]),
            uses_limit=options["uses"],
            stage=options["stage"],
            restrictions={
                "grant_types": options["grant"],
                "token_endpoint_auth_methods": options["method"],
                "allowed_scopes": options["scope"],
                "redirect_hosts": options["redirect_host"],
            },
            source_networks=tuple(options["source"]),
            profile=profile,
        )
        try:
            made = create_initial_access_token(organization, COMMAND_LINE, terms, now=now)
        except MetadataRefused as error:
            raise CommandError(
                " ".join(f"{finding.field}: {finding.sentence} {finding.hint}".strip() for finding in error.findings)
            ) from error
        except TransitionRefused as error:
            raise CommandError(error.description) from error
        self.stdout.write(made.value)
        self.stderr.write(f"{made.row}: {made.row.uses_limit} uses until {made.row.expires_at:%Y-%m-%d %H:%M} UTC. It is shown this once.")
