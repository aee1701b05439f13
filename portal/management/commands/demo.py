"""manage.py demo --check [--json]"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.test import override_settings

_NOT_PASSED_ON = ("DATABASE_URL", "REDIS_URL", "CREDENCE_ISSUER", "EMAIL_URL", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS")


class Command(BaseCommand):
    """Tell the main job on a throw-away database, offline."""

    help = "Tell the main job step by step on a throw-away database, offline; exit status 1 when a step fails."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--check", action="store_true", help="run the story and end")
        parser.add_argument("--json", action="store_true", help="print one JSON object with all steps")
        parser.add_argument("--here", action="store_true", help="used by the command itself: tell it on this process's database")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the story in a process of its own with an empty data directory, or tell it here when this is that process."""
        if options["here"]:
            self._tell(as_json=options["json"])
        elif not options["check"]:
            raise CommandError("Say --check to run the story on a throw-away database. To look around, use: make run")
        else:
            self._start(as_json=options["json"])

    def _start(self, *, as_json: bool) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        with tempfile.TemporaryDirectory(prefix="credence-demo-") as folder:
            environment |= {"CREDENCE_DATA_DIR": folder, "CREDENCE_LOG_LEVEL": "ERROR", "EMAIL_URL": "dummymail://"}
            command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "demo", "--here", *(["--json"] if as_json else [])]
            status = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - our own program
        if status:
            sys.exit(1)

    def _tell(self, *, as_json: bool) -> None:
        from portal.demo import story
        from registry.models import Organization

        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        if Organization.objects.exists():
            raise CommandError("This database is in use; the story is only told on an empty one.")
        results: list[story.StepResult] = []

        def report(result: story.StepResult) -> None:
            results.append(result)
            if not as_json:
                mark = self.style.SUCCESS("✓") if result.ok else self.style.ERROR("✗")
                self.stdout.write(f"{mark} {result.number}. {result.title} ({result.seconds * 1000:.0f} ms)\n     {result.detail}")

        # Pages are shown in the story, and nobody collected the static files of a throw-away server.
        plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        with override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain}):
            ok = story.tell(report)
        if as_json:
            self.stdout.write(json.dumps({"ok": ok, "steps": [story.as_json(result) for result in results]}, indent=2))
        elif ok:
            self.stdout.write(self.style.SUCCESS("All steps went well."))
        if not ok:
            sys.exit(1)
