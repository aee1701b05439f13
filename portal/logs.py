"""Logging: structured, with the request id, and with everything that looks like a credential cut out (threats.md R05)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

# Every credential this server makes starts with one of these; JWTs start with a base64url "{".
_CREDENTIAL = re.compile(r"\b(?:cat|crt|ccs|inv|iat|rat)_[A-Za-z0-9_-]{20,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
_SECRET_NAMES: Final = frozenset(
    ("authorization", "client_assertion", "client_secret", "code", "cookie", "password", "refresh_token", "secret", "software_statement", "token")
)
CUT: Final = "[cut]"

EventDict = MutableMapping[str, Any]


def cut_credentials(logger: Any, method: str, event: EventDict) -> EventDict:  # noqa: ARG001 - structlog's signature
    """Replace values under secret names, and whatever has the shape of a credential, in a log event."""
    for name, value in event.items():
        if name in _SECRET_NAMES:
            event[name] = CUT
        elif isinstance(value, str):
            event[name] = _CREDENTIAL.sub(CUT, value)
    return event


class CredentialFilter(logging.Filter):
    """The same for records of libraries that log through the standard library."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut credentials from the message."""
        message = record.getMessage()
        cleaned = _CREDENTIAL.sub(CUT, message)
        if cleaned != message:
            record.msg, record.args = cleaned, None
        return True


def configure(options: dict[str, Any]) -> None:
    """Set up logging; `options` is Django's LOGGING setting, which here holds the level only."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        cut_credentials,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(CredentialFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                cut_credentials,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(options["level"])
    # Every refusal is logged once, by the error middleware, with its reason.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    # Never SQL or bodies, whatever the level asks for (threats.md R05).
    for name in ("django.db.backends", "oauthlib", "oauth2_provider", "urllib3"):
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
