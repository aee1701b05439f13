"""Setting the project up in this process, on an empty database in a folder of its own or in DATABASE_URL."""

from __future__ import annotations

import atexit
import os
import sys
import tempfile


def set_up() -> None:
    """Prepare Django and an empty database with the scope openid; end when DATABASE_URL names one that is in use."""
    folder = tempfile.TemporaryDirectory(prefix="credence-benchmark-")
    atexit.register(folder.cleanup)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "CREDENCE_DATA_DIR": folder.name,
        "CREDENCE_LOG_LEVEL": "ERROR",
        "EMAIL_URL": "dummymail://",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    from registry.models import Organization, Scope

    if Organization.objects.exists():
        sys.exit("DATABASE_URL names a database that is in use. Give an empty one, or none for SQLite.")
    Scope.objects.get_or_create(name="openid", defaults={"title": "Know who you are"})
