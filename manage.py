#!/usr/bin/env python
"""Django's command line for Credence."""

import os
import sys


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:  # the message says which setting and what to do; a traceback would bury it
        sys.exit(f"Credence cannot start: {problem}")


if __name__ == "__main__":
    main()
