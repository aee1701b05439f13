"""Errors that are answered as `error` and `error_description` (RFC 6749, 5.2; RFC 7591, 3.2.2)."""

from __future__ import annotations

from protocol.errors.base import ProtocolError


class OAuthError(ProtocolError):
    """An error of RFC 6749, 6750, 7591, 7592, 7662, 9101 or 9126."""


class InvalidRequest(OAuthError):
    """The request is malformed (RFC 6749, 5.2)."""

    code, status = "invalid_request", 400
    default_description = "The request is malformed."


class UnsupportedMediaType(InvalidRequest):
    """The body has another media type than the endpoint reads."""

    status = 415
    default_description = "The body has a media type that this endpoint does not read."


class PayloadTooLarge(InvalidRequest):
    """The body is larger than the endpoint reads."""

    status = 413
    default_description = "The body is too large."


class MethodNotAllowed(InvalidRequest):
    """The endpoint does not answer this method; `allow` lists those that it does."""

    status = 405

    def __init__(self, allow: tuple[str, ...]) -> None:
        self.allow = allow
        super().__init__(f"This endpoint answers {' and '.join(allow)} only.")


class Conflict(OAuthError):
    """The request does not fit the state of what it is about (RFC 9110, 15.5.10)."""

    code, status = "conflict", 409
    default_description = "This cannot be done as things are now."


class InvalidClient(OAuthError):
    """Client authentication failed (RFC 6749, 5.2); `scheme` is the Authorization scheme that was tried, if any."""

    code, status = "invalid_client", 401
    default_description = "Client authentication failed."

    def __init__(self, description: str = "", *, detail: str = "", scheme: str = "", members: tuple[str, ...] = ()) -> None:
        self.scheme = scheme
        super().__init__(description, detail=detail, members=members)


class InvalidGrant(OAuthError):
    """The grant is invalid, expired or was issued to another client (RFC 6749, 5.2)."""

    code, status = "invalid_grant", 400
    default_description = "The grant is invalid, expired or belongs to another client."


class UnauthorizedClient(OAuthError):
    """The client may not use this grant or endpoint (RFC 6749, 5.2)."""

    code, status = "unauthorized_client", 400
    default_description = "This client may not do that."


class UnsupportedGrantType(OAuthError):
    """The grant type is not offered (RFC 6749, 5.2)."""

    code, status = "unsupported_grant_type", 400
    default_description = "This server does not offer that grant type."


class InvalidScope(OAuthError):
    """The scope is unknown, malformed or beyond what the client may ask for (RFC 6749, 5.2)."""

    code, status = "invalid_scope", 400
    default_description = "The scope is unknown, malformed or beyond what this client may ask for."


class InvalidTarget(OAuthError):
    """The resource is unknown or not allowed for the client (RFC 8707, 2)."""

    code, status = "invalid_target", 400
    default_description = "The resource is unknown or not allowed for this client."


class AccessDenied(OAuthError):
    """Trust is proven but a rule refuses (RFC 6749, 4.1.2.1)."""

    code, status = "access_denied", 403
    default_description = "Access is denied."


class UnsupportedResponseType(OAuthError):
    """The response type is not offered (RFC 6749, 4.1.2.1)."""

    code, status = "unsupported_response_type", 400
    default_description = "This server answers response_type code only."


class InvalidRequestObject(OAuthError):
    """The request object is not acceptable (RFC 9101, 7)."""

    code, status = "invalid_request_object", 400


class InvalidRequestUri(OAuthError):
    """The request_uri is unknown, expired, used or another client's (RFC 9101, 7; RFC 9126, 4)."""

    code, status = "invalid_request_uri", 400
    default_description = "The request_uri is unknown, expired, used, or belongs to another client."


class RequestUriNotSupported(OAuthError):
    """Request objects are not fetched by reference (OpenID Connect Core, 3.1.2.6)."""

    code, status = "request_uri_not_supported", 400
    default_description = "This server does not fetch request objects; push the request or send it by value."


class LoginRequired(OAuthError):
    """The person has to sign in, and prompt=none forbids to ask (OpenID Connect Core, 3.1.2.6)."""

    code, status = "login_required", 400
    default_description = "The person has to sign in."


class ConsentRequired(OAuthError):
    """The person has to consent, and prompt=none forbids to ask (OpenID Connect Core, 3.1.2.6)."""

    code, status = "consent_required", 400
    default_description = "The person has to consent."


class UnmetAuthenticationRequirements(OAuthError):
    """The person did not sign in as strongly as the app requires (OpenID Connect Core Unmet Authentication Requirements 1.0, 2)."""

    code, status = "unmet_authentication_requirements", 400
    default_description = "The person cannot sign in as strongly as this app requires."


class InvalidToken(OAuthError):
    """The bearer token is missing, expired, revoked or malformed (RFC 6750, 3.1)."""

    code, status = "invalid_token", 401
    default_description = "The token is expired, revoked or malformed."


class TokenMissing(InvalidToken):
    """No bearer token was sent; the challenge then names no error (RFC 6750, 3.1)."""

    default_description = "Send the token in the Authorization header: Bearer, a space, the token."


class PreconditionFailed(InvalidRequest):
    """The resource is no longer what If-Match names (RFC 9110, 13.1.1)."""

    status = 412
    default_description = "This is no longer what you read. Read it again, then change it."


class InsufficientScope(OAuthError):
    """The token does not carry the right that is needed (RFC 6750, 3.1); `scope` names it for the challenge."""

    code, status = "insufficient_scope", 403
    default_description = "The token does not carry the right that is needed here."

    def __init__(self, description: str = "", *, detail: str = "", scope: str = "") -> None:
        self.scope = scope
        super().__init__(description, detail=detail)


class InvalidRedirectUri(OAuthError):
    """A redirect URI is refused (RFC 7591, 3.2.2)."""

    code, status = "invalid_redirect_uri", 400


class InvalidClientMetadata(OAuthError):
    """A client metadata value is refused (RFC 7591, 3.2.2)."""

    code, status = "invalid_client_metadata", 400


class InvalidSoftwareStatement(OAuthError):
    """The software statement is malformed or not verified (RFC 7591, 3.2.2)."""

    code, status = "invalid_software_statement", 400


class UnapprovedSoftwareStatement(OAuthError):
    """The software statement is verified but not approved here (RFC 7591, 3.2.2)."""

    code, status = "unapproved_software_statement", 400


class TooManyRequests(OAuthError):
    """A rate limit or quota is used up; answered with Retry-After (DCR-ERR-01)."""

    code, status = "temporarily_unavailable", 429
    default_description = "Too many requests; try again later."


class ServiceUnavailable(OAuthError):
    """A part that this request needs is away for a moment; answered with Retry-After."""

    code, status = "temporarily_unavailable", 503
    default_description = "The server cannot answer this for a moment; try again later."
