"""Scopes per client for the toolkit: what the client registered and is entitled to now; never everything (house decision 7)."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from oauth2_provider.scopes import BaseScopes

from registry.entitlements import entitled_scopes
from registry.models import Client, Scope
from registry.policies import get_policy


class ClientScopes(BaseScopes):
    """Answers the toolkit's questions about scopes from our tables."""

    def get_all_scopes(self) -> dict[str, str]:
        """Return every scope with its title."""
        return dict(Scope.objects.values_list("name", "title"))

    def get_available_scopes(self, application: Client | None = None, request: Any = None, *args: Any, **kwargs: Any) -> list[str]:  # noqa: ARG002
        """Return the scopes that the client may be granted now."""
        return sorted(entitled_scopes(application, timezone.now())) if application else []

    def get_default_scopes(self, application: Client | None = None, request: Any = None, *args: Any, **kwargs: Any) -> list[str]:  # noqa: ARG002
        """Return the scopes of a request that names none: the policy's default, as far as the client is entitled to it."""
        if application is None:
            return []
        wanted = get_policy(application.organization).default_scopes
        entitled = entitled_scopes(application, timezone.now()) if wanted else frozenset()
        return [name for name in wanted if name in entitled]
