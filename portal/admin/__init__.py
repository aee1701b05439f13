"""Staff pages. Importing this package registers them on `staff_site`."""

from portal.admin import (
    banners,
    canned_reasons,
    change_requests,
    clients,
    federation,
    members,
    notices,
    organizations,
    policy,
    registration_profiles,
    registration_tokens,
    scopes,
    server,
    software_statements,
    trail,
)
from portal.admin.site import staff_site

__all__ = [
    "banners",
    "canned_reasons",
    "change_requests",
    "clients",
    "federation",
    "members",
    "notices",
    "organizations",
    "policy",
    "registration_profiles",
    "registration_tokens",
    "scopes",
    "server",
    "software_statements",
    "staff_site",
    "trail",
]
