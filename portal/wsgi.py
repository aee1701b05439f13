"""The WSGI application that gunicorn serves."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

_CHARSET: Final = re.compile(r";\s*charset=[^;]*", re.IGNORECASE)
_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve a request. Everything here is UTF-8; Django would believe any codec that a visitor names, and break on some."""
    environ["CONTENT_TYPE"] = _CHARSET.sub("", environ.get("CONTENT_TYPE", ""))
    response: Iterable[bytes] = _django(environ, start_response)
    return response
