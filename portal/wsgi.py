"""The WSGI application that gunicorn serves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve a request. Everything here is UTF-8; Django would believe any codec that a visitor names, and break on some."""
    kind, _, parameters = environ.get("CONTENT_TYPE", "").partition(";")
    environ["CREDENCE_CONTENT_TYPE"] = environ.get("CONTENT_TYPE", "")  # for who must refuse other codecs
    needs_parameters = kind.strip().lower() == "multipart/form-data" and "charset" not in parameters.lower()
    environ["CONTENT_TYPE"] = f"{kind};{parameters}" if needs_parameters else kind.strip()
    response: Iterable[bytes] = _django(environ, start_response)
    return response
