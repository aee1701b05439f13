"""The token endpoint (RFC 6749, 3.2)."""

from __future__ import annotations

from typing import ClassVar

from authserver.views.base import OAuthLibEndpoint


class TokenView(OAuthLibEndpoint):
    """Issues tokens. The toolkit's view would read the row again for a signal; this one does not."""

    endpoint = "token"
    operation = "create_token_response"
    repeatable: ClassVar[frozenset[str]] = frozenset(("resource",))
