"""How gunicorn serves the site, under `manage.py run` and under systemd alike: `gunicorn -c python:portal.gunicorn`."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

from django.conf import settings

wsgi_app = "portal.wsgi:application"
bind = f"127.0.0.1:{settings.PORT}"  # TLS ends at a proxy on this host or in this pod; `--bind` says otherwise

workers = settings.WEB_WORKERS
worker_class = "gthread"
threads = settings.WEB_THREADS
preload_app = True  # one import instead of one per worker; new code needs a restart, not a reload
timeout = 60
keepalive = 75  # longer than the proxy keeps an idle connection, so that it never sends a request into one that we are closing
graceful_timeout = 8  # below the ten seconds that the supervisor waits

# A request object or a trust chain by value makes request lines of 16 KB and more. gunicorn takes every value above 8,190 as
# 8,190, so the only one that lets them pass is 0. The proxy limits the line instead (deploy/nginx.conf).
limit_request_line = 0
limit_request_fields = 100
limit_request_field_size = 8190

# Django alone decides whether X-Forwarded-Proto is believed (CREDENCE_TRUSTED_PROXY). gunicorn would believe it from any
# process on this host.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}

loglevel = settings.LOG_LEVEL.lower()
control_socket_disable = True  # it would open in the home folder; systemd and the supervisor stop gunicorn by signals


def when_ready(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Import every view before the workers are forked: they share it, the first visitor does not wait, a mistake stops the start."""
    from django.urls import get_resolver

    get_resolver().url_patterns  # noqa: B018 - reading it is what imports them
