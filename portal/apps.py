"""Application configuration of the site."""

from __future__ import annotations

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The site."""

    name = "portal"
    verbose_name = "Portal"
