"""The toolbox."""

from __future__ import annotations

from django.urls import path

from portal.views.tools import addresses, entities, index, keys, metadata, tokens

urlpatterns = [
    path("", index.tools, name="tools"),
    path("keys/", keys.check_keys, name="tool_keys"),
    path("redirect-uris/", addresses.check_redirect_uris, name="tool_redirect_uris"),
    path("jwt/", tokens.decode, name="tool_jwt"),
    path("entity/", entities.read, name="tool_entity"),
    path("chain/", entities.resolve, name="tool_chain"),
    path("dry-run/", metadata.dry_run, name="tool_dry_run"),
    path("pem/", keys.convert_pem, name="tool_pem"),
]
