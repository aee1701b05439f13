"""Application configuration of the authorization server."""

from __future__ import annotations

from django.apps import AppConfig


class AuthserverConfig(AppConfig):
    """The OAuth endpoints and token models."""

    name = "authserver"
    verbose_name = "Authorization server"

    def ready(self) -> None:
        """Write down refused requests after their answers."""
        from authserver.refusals import write_notes_after_answers

        write_notes_after_answers()
