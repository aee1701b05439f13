"""Every error this server can answer with, as one tree, and the one place that turns an error into a body.

    ProtocolError
      OAuthError          answered as `error` + `error_description` (RFC 6749, 5.2; RFC 7591, 3.2.2)
      FederationError     answered the same way (OpenID Federation 1.0, 8.9)
      InternalError       never answered as it is: a caller turns it into one of the above

`description` is public; `detail` goes to the log and never leaves the server. A subclass inherits the wire code of its parent.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

# RFC 6749, 5.2: error_description is limited to %x20-21 / %x23-5B / %x5D-7E.
_OUTSIDE_DESCRIPTION_CHARSET = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_DESCRIPTION_LIMIT = 1000


class ProtocolError(Exception):
    """Base of every error of this project.

    `description` says in public words what is wrong and how to mend it; `detail` is for the log only;
    `members` names the request members at fault; `retry_after` is in seconds; `extensions` are further members of the body (RFC 9457, 3.2).
    """

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    default_description: ClassVar[str] = "The server met an unexpected condition."

    def __init__(
        self,
        description: str = "",
        *,
        detail: str = "",
        members: tuple[str, ...] = (),
        retry_after: int | None = None,
    ) -> None:
        self.description = description or self.default_description
        self.detail = detail
        self.members = members
        self.retry_after = retry_after
        self.extensions: dict[str, Any] = {}
        super().__init__(self.description)


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


class InsufficientScope(OAuthError):
    """The token does not carry the right that is needed (RFC 6750, 3.1)."""

    code, status = "insufficient_scope", 403
    default_description = "The token does not carry the right that is needed here."


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


class FederationError(ProtocolError):
    """An error of a federation endpoint (OpenID Federation 1.0, 8.9)."""


class InvalidIssuer(FederationError):
    """The issuer is not the right one to ask (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_issuer", 404


class InvalidSubject(FederationError):
    """The subject is not the right one (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_subject", 404


class InvalidTrustAnchor(FederationError):
    """The trust anchor is unknown or cannot be used (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_trust_anchor", 404


class NotFound(FederationError):
    """The subject is not known (OpenID Federation 1.0, 8.9)."""

    code, status = "not_found", 404


class UnsupportedParameter(FederationError):
    """A parameter is not supported (OpenID Federation 1.0, 8.9)."""

    code, status = "unsupported_parameter", 400


class InvalidTrustChain(FederationError):
    """The trust chain cannot be validated (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_trust_chain", 400


class StatementInvalid(InvalidTrustChain):
    """A statement breaks a rule of OpenID Federation 1.0, 3.2; `reason` is a stable word, `claim` the claim at fault."""

    def __init__(self, reason: str, description: str, *, claim: str = "", detail: str = "") -> None:
        self.reason = reason
        self.claim = claim
        super().__init__(description, detail=detail)


class SignatureInvalid(StatementInvalid):
    """A statement of the chain does not verify."""


class StatementExpired(StatementInvalid):
    """A statement of the chain is expired or not yet valid."""


class ConstraintViolated(InvalidTrustChain):
    """A constraint of a superior is broken (OpenID Federation 1.0, 6.2)."""


class InvalidMetadata(FederationError):
    """Metadata or metadata policy is invalid or in conflict (OpenID Federation 1.0, 8.9)."""

    code, status = "invalid_metadata", 400


class PolicyConflict(InvalidMetadata):
    """Metadata policies do not merge (OpenID Federation 1.0, 6.1.4.1)."""


class PolicyViolation(InvalidMetadata):
    """Metadata breaks the resolved policy (OpenID Federation 1.0, 6.1.4.2)."""


class TemporarilyUnavailable(FederationError):
    """Federation data cannot be had for a moment (OpenID Federation 1.0, 8.9)."""

    code, status = "temporarily_unavailable", 503


class InternalError(ProtocolError):
    """Base of errors that a caller must turn into an answer of its own surface."""


class InvalidJson(InternalError):
    """Input is not the strict JSON that `strict_json` reads; `reason` is a stable word, `description` a sentence."""

    def __init__(self, reason: str, description: str) -> None:
        self.reason = reason
        super().__init__(description)


class InvalidUrl(InternalError):
    """A URL is not canonical or not allowed; `reason` is a stable word, `description` a sentence."""

    def __init__(self, reason: str, description: str) -> None:
        self.reason = reason
        super().__init__(description)


class InvalidJwt(InternalError):
    """A JWT is not what its verifier accepts; `reason` is a stable word, `claim` the claim or header parameter at fault."""

    def __init__(self, reason: str, description: str, *, claim: str = "", detail: str = "") -> None:
        self.reason = reason
        self.claim = claim
        super().__init__(description, detail=detail)


class InvalidKeySet(InternalError):
    """A JWK or JWK Set is refused; `reason` is a stable word, `position` the index of the key at fault."""

    def __init__(self, reason: str, description: str, *, position: int | None = None) -> None:
        self.reason = reason
        self.position = position
        super().__init__(description)


class FetchError(InternalError):
    """An outbound fetch failed.

    `reason` is a stable word; `permanent` says that trying again will not help; `http_status` is set when a status line arrived.
    The description never carries what the network said (DCR-ERR-04); that is in `detail`.
    """

    def __init__(
        self,
        reason: str,
        description: str,
        *,
        permanent: bool,
        http_status: int | None = None,
        retry_after: int | None = None,
        detail: str = "",
    ) -> None:
        self.reason = reason
        self.permanent = permanent
        self.http_status = http_status
        super().__init__(description, detail=detail, retry_after=retry_after)


class TrustMarkInvalid(InternalError):
    """A trust mark does not verify (OpenID Federation 1.0, 7)."""


class TransitionRefused(InternalError):
    """A lifecycle transition is not allowed from this state, by this actor or under this guard; `reason` is a stable word."""

    def __init__(self, reason: str, description: str) -> None:
        self.reason = reason
        super().__init__(description)


class MetadataRefused(InternalError):
    """Client metadata has error findings; `findings` are registry.findings.Finding values."""

    def __init__(self, findings: tuple[Any, ...]) -> None:
        self.findings = findings
        super().__init__("; ".join(finding.sentence for finding in findings))


def safe_description(text: str) -> str:
    """Return `text` within the characters and length that RFC 6749, 5.2 allows in error_description."""
    text = text.replace('"', "'").replace("\\", "/")
    return _OUTSIDE_DESCRIPTION_CHARSET.sub("?", text)[:_DESCRIPTION_LIMIT]


def wire_body(error: ProtocolError, *, request_id: str = "", documentation: str = "") -> dict[str, Any]:
    """Return the JSON members for `error`: OAuth members with the RFC 9457 members beside them.

    An `InternalError` that reached this point is a fault of ours and is answered as `server_error` with nothing of its text.
    """
    shown = ProtocolError() if isinstance(error, InternalError) else error
    description = safe_description(shown.description)
    body: dict[str, Any] = {
        **shown.extensions,
        "error": shown.code,
        "error_description": description,
        "type": f"{documentation}#{shown.code}" if documentation else "about:blank",
        "title": shown.code.replace("_", " ").capitalize(),
        "status": shown.status,
        "detail": description,
    }
    if documentation:
        body["error_uri"] = body["type"]
    if shown.members:
        body["invalid_members"] = list(shown.members)
    if request_id:
        body["instance"] = f"urn:request:{request_id}"
    return body


def wire_headers(error: ProtocolError, *, realm: str) -> dict[str, str]:
    """Return the headers that go with `error`: challenge on 401 (RFC 6750, 3; RFC 6749, 5.2), Allow, Retry-After, no-store."""
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    if isinstance(error, InvalidClient):
        headers["WWW-Authenticate"] = f'{error.scheme or "Basic"} realm="{realm}"'
    elif isinstance(error, InvalidToken | InsufficientScope):
        description = safe_description(error.description)
        headers["WWW-Authenticate"] = f'Bearer realm="{realm}", error="{error.code}", error_description="{description}"'
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allow)
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return headers
