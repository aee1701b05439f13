"""The Celery application; its settings are Django's `CELERY_*` settings."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("credence")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def yield_to_requests(**_: object) -> None:
    """Let the web server go first where both want the processor: a sweep can wait, a token request cannot."""
    os.nice(10)
