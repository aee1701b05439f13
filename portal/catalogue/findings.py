"""What a form, a registration, a check or a tool finds in a value, by code (portal.md 4.6). A test holds this against the sources."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from portal.catalogue.entries import Group, group
from portal.catalogue.keys import KEYS, SETS
from portal.catalogue.redirects import ADDRESSES, ANSWERS, REDIRECT_HOSTS, REDIRECTS
from portal.catalogue.staff import STAFF_GROUPS
from portal.catalogue.values import FETCHING, GRANTS, NAMES, REVIEW, SCOPES, TOKENS, VALUES

FINDING_GROUPS: Final[tuple[Group, ...]] = (
    group("redirects", _("Redirect URIs"), REDIRECTS),
    group("addresses", _("How an address is written"), ADDRESSES, prefixes=("redirect_uri.", "url.")),
    group("answer-parameters", _("Parameters of the answer in a redirect URI"), ANSWERS, prefixes=("redirect_uri.",)),
    group("redirect-hosts", _("Hosts that may be redirected to"), REDIRECT_HOSTS, prefixes=("policy.", "policy.post_logout_")),
    group("keys", _("Keys"), SETS, KEYS, prefixes=("jwks.",)),
    group("fetching", _("Documents at your addresses"), FETCHING),
    group("grants", _("Grants, authentication and algorithms"), GRANTS),
    group("scopes", _("Scopes"), SCOPES),
    group("values", _("Any value"), VALUES),
    group("names", _("Names, contacts and pages"), NAMES),
    group("review", _("What a reviewer looks at"), REVIEW),
    group("tokens", _("Registration tokens"), TOKENS),
    *STAFF_GROUPS,
)
