"""Staff pages. Importing this package registers them on `staff_site`."""

from portal.admin import (
    change_requests,
    clients,
    federation,
    organizations,
    registration_profiles,
    registration_tokens,
    rules,
    server,
    software_statements,
    trail,
)
from portal.admin.site import staff_site

__all__ = [
    "change_requests",
    "clients",
    "federation",
    "organizations",
    "registration_profiles",
    "registration_tokens",
    "rules",
    "server",
    "software_statements",
    "staff_site",
    "trail",
]
