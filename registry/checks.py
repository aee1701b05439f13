"""System checks of the registry, with stable ids and fix hints."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from registry.field_encryption import encrypt


@checks.register(checks.Tags.security)
def check_field_encryption(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:  # noqa: ARG001
    """Check that FIELD_ENCRYPTION_KEYS are keys."""
    try:
        encrypt("")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the keys becomes one finding
        command = "import os, base64; print(base64.urlsafe_b64encode(os.urandom(32)).decode())"
        return [checks.Error(str(error), hint=f"Make one with: python -c '{command}'", id="credence.E001")]
    return []


@checks.register(checks.Tags.security)
def check_outbound(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:  # noqa: ARG001
    """Check OUTBOUND_ALLOWED_HOSTS."""
    from registry.outbound import build_fetch_config

    try:
        build_fetch_config()
    except ValueError as error:
        return [
            checks.Error(f"OUTBOUND_ALLOWED_HOSTS: {error}", hint="Give exact host:port pairs, separated by commas.", id="credence.E002")
        ]
    return []


@checks.register(checks.Tags.security, deploy=True)
def check_deployment(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:  # noqa: ARG001
    """Check what a server for others needs and one on loopback does not."""
    found: list[checks.CheckMessage] = []
    if settings.ISSUER_IS_LOOPBACK:
        found.append(
            checks.Warning("CREDENCE_ISSUER is on loopback.", hint="Set it to the https origin that partners use.", id="credence.W001")
        )
    if settings.OUTBOUND_CA_BUNDLE:
        found.append(
            checks.Warning(
                "OUTBOUND_CA_BUNDLE replaces the public certificate authorities.",
                hint="Leave it out unless your federation has its own.",
                id="credence.W002",
            )
        )
    if settings.OUTBOUND_ALLOWED_HOSTS:
        found.append(
            checks.Warning(
                "OUTBOUND_ALLOWED_HOSTS lets this server connect to private addresses.", hint="Leave it empty.", id="credence.W003"
            )
        )
    if settings.EMAIL_BACKEND.endswith("console.EmailBackend"):
        found.append(checks.Warning("Mail is printed to the terminal.", hint="Set EMAIL_URL.", id="credence.W004"))
    return found
