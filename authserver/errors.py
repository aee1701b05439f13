"""From oauthlib's errors to ours: one table, so that no view writes an error body."""

from __future__ import annotations

from typing import Final

from oauthlib.oauth2 import OAuth2Error

from protocol import errors

_BY_CODE: Final[dict[str, type[errors.OAuthError]]] = {
    "invalid_request": errors.InvalidRequest,
    "invalid_client": errors.InvalidClient,
    "invalid_grant": errors.InvalidGrant,
    "unauthorized_client": errors.UnauthorizedClient,
    "unsupported_grant_type": errors.UnsupportedGrantType,
    "invalid_scope": errors.InvalidScope,
    "invalid_target": errors.InvalidTarget,
    "access_denied": errors.AccessDenied,
    "invalid_token": errors.InvalidToken,
    "insufficient_scope": errors.InsufficientScope,
}


def our_error(error: OAuth2Error) -> errors.ProtocolError:
    """Return our error for one of oauthlib's; one that we do not know is a fault of ours and becomes server_error."""
    kind = _BY_CODE.get(error.error)
    if kind is None:
        return errors.ProtocolError(detail=f"unmapped oauthlib error {error.error}: {error.description}")
    return kind(error.description or "")
