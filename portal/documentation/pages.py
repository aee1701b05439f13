"""Which documentation pages there are, and what they are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from authserver.endpoints import all_endpoints
from portal.catalogue import FINDING_GROUPS, REASON_GROUP, STATEMENT_GROUPS, STEP_GROUP
from portal.documentation.commands import commands
from portal.documentation.errors import catalogue_entries
from portal.documentation.facts import lifetimes, limits, rules
from registry.models import Scope
from registry.policies import get_policy
from registry.scopes import OPERATORS_OWN

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its word in the address, its title, and one sentence about it. Its text is docs/pages/<name>.html."""

    name: str
    title: _StrPromise
    summary: _StrPromise
    icon: str = "code"

    @property
    def template(self) -> str:
        """Return the template of its text."""
        return f"docs/pages/{self.name}.html"


PAGES: Final = tuple(
    Page(*values)
    for values in (
        ("by-hand", _("Register by hand"), _("From an account to a test app with a secret or a key, in a few minutes."), "pencil"),
        ("dynamic", _("Register by software"), _("Your software registers an app per installation, with a token you made."), "code"),
        ("federation", _("Register by federation"), _("Your entity registers itself, by a chain of signed statements."), "chain"),
        ("tokens", _("Get tokens"), _("Requests for web, single-page, native and machine apps, to paste."), "key"),
        (
            "organizations",
            _("Organizations, roles and states"),
            _("Who may do what, what waits for whom, and what a state means."),
            "people",
        ),
        ("scopes", _("Scopes"), _("What an app can ask for, and what needs approval."), "apps"),
        ("limits", _("Lifetimes and limits"), _("How long things live, how many there may be, how often you may ask."), "info"),
        ("errors", _("Error codes"), _("What the endpoints answer when they refuse, what it means, and what to do."), "blocked"),
        ("findings", _("Findings"), _("What forms, registrations and checks find in a value, and how to mend it."), "warning"),
        ("statements", _("Findings in tokens"), _("What the tools find in a JWT and in a statement of a federation."), "warning"),
        ("trust-chain", _("Trust chains and blocked apps"), _("The steps of checking a chain, and why an app gets no tokens."), "chain"),
    )
)
BY_NAME: Final = {page.name: page for page in PAGES}


def page_context() -> dict[str, Any]:
    """Return what the text of any page may show. What asks the database is a function: at most two queries, none for the error codes."""
    policy = cache(get_policy)
    return {
        "issuer": settings.ISSUER,
        "endpoints": all_endpoints(),
        "commands": commands(),
        "scopes": lambda: list(Scope.objects.filter(is_retired=False).exclude(name__in=OPERATORS_OWN)),
        "lifetimes": lambda: lifetimes(policy()),
        "limits": lambda: limits(policy()),
        "rules": lambda: rules(policy()),
        "open_registration": settings.OPEN_REGISTRATION,
        "is_entity": settings.HTTPS or settings.ISSUER_IS_LOOPBACK,
        "entries": catalogue_entries(),
        "finding_groups": FINDING_GROUPS,
        "statement_groups": STATEMENT_GROUPS,
        "reason_group": REASON_GROUP,
        "step_group": STEP_GROUP,
    }
