"""Application configuration of the registry."""

from __future__ import annotations

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """The registry of organizations and clients."""

    name = "registry"
    verbose_name = "Registry"

    def ready(self) -> None:
        """Register system checks."""
        from registry import checks  # noqa: F401
