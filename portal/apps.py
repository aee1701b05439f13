"""Application configuration of the site."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class PortalConfig(AppConfig):
    """The site."""

    name = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        """Listen to what the lifecycle did, to tell people by mail, to how the jobs go, to tell staff, and to who signs in."""
        from django.contrib.auth.signals import user_logged_in

        import portal.account_changes
        import portal.job_records  # noqa: F401
        from portal.notices import mail_about
        from portal.sessions import note_sign_in
        from registry.signals import transition_committed

        transition_committed.connect(mail_about, dispatch_uid="portal.notices")
        user_logged_in.connect(note_sign_in, dispatch_uid="portal.sessions")
        if settings.ISSUER_IS_LOOPBACK:
            from portal.demo.sandbox import SandboxFetcher, sandbox_path
            from registry.outbound import wrap_fetcher

            if sandbox_path().exists():
                wrap_fetcher(SandboxFetcher)
