"""Application configuration of the site."""

from __future__ import annotations

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The site."""

    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        """Listen to what the lifecycle did, to tell people by mail."""
        from portal.notices import mail_about
        from registry.signals import transition_committed

        transition_committed.connect(mail_about, dispatch_uid="portal.notices")
