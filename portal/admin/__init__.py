"""Staff pages. Importing this package registers them on `staff_site`."""

from portal.admin import change_requests, clients, federation, organizations, rules, server, trail
from portal.admin.site import staff_site

__all__ = ["change_requests", "clients", "federation", "organizations", "rules", "server", "staff_site", "trail"]
