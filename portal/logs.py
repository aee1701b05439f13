"""Logging: structured, with the request id, and with everything that looks like a credential cut out (threats.md R05)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog
from structlog.types import Processor

from protocol.redaction import CUT, cut_credentials_from

_SECRET_NAMES: Final = frozenset(
    (
        "authorization",
        "client_assertion",
        "client_secret",
        "code",
        "cookie",
        "initial_access_token",
        "password",
        "refresh_token",
        "registration_access_token",
        "secret",
        "software_statement",
        "token",
    )
)
# Objects that the formatter turns into text first; that text is cut again.
_FOR_THE_FORMATTER: Final = frozenset(("exc_info", "_record"))

EventDict = MutableMapping[str, Any]


def cut_credentials(logger: Any, method: str, event: EventDict) -> EventDict:  # noqa: ARG001 - structlog's signature
    """Replace values under secret names, and whatever has the shape of a credential, in a log event, however deep."""
    for name, value in event.items():
        if name not in _FOR_THE_FORMATTER:
            event[name] = _cut(name, value)
    return event


def _cut(name: object, value: Any) -> Any:
    if isinstance(name, str) and name.lower() in _SECRET_NAMES:
        return CUT
    if isinstance(value, Mapping):
        return {key: _cut(key, entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cut(None, entry) for entry in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return cut_credentials_from(value if isinstance(value, str) else repr(value))


class CredentialFilter(logging.Filter):
    """The same for records of libraries that log through the standard library."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut credentials from the message."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # the arguments do not fit; logging would print them, uncut, to stderr
            record.msg, record.args = str(record.msg), None
            message = record.msg
        cleaned = cut_credentials_from(message)
        if cleaned != message:
            record.msg, record.args = cleaned, None
        return True


def configure(options: dict[str, Any]) -> None:
    """Set up logging; `options` is Django's LOGGING setting, which here holds the level only."""
    shared: list[Processor] = [
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
