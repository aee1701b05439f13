"""Every error code that machines meet here, what it means and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from protocol.errors import FederationError, OAuthError, ProtocolError

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One error code: the HTTP status codes it comes with, what it means and what to do."""

    code: str
    statuses: tuple[int, ...]
    meaning: _StrPromise | str
    advice: _StrPromise | str


# A test holds this table against the error classes.
ADVICE: Final[dict[str, tuple[_StrPromise, _StrPromise]]] = {
    "access_denied": (
        _("Who you are is proven, but a rule of this server refuses what you asked for."),
        _("Open the page of the app: it says whether it is suspended, and who can change that."),
    ),
    "conflict": (
        _("What you ask for does not fit the state of what it is about."),
        _("Look at it again; reason and detail in the answer say what is needed first."),
    ),
    "consent_required": (
        _("The person has to agree first, and the request did not allow to ask."),
        _("Send the request again without prompt=none."),
    ),
    "insufficient_scope": (
        _("The token is good but does not carry the right that this endpoint needs."),
        _("Ask for a token with the scope named in the answer. Only resource servers may introspect."),
    ),
    "invalid_client": (
        _("The app is unknown, may not act, or did not prove who it is."),
        _(
            "Check the client ID, that the secret has not ended, and that you use the registered authentication method. "
            "For a key pair: aud must be the issuer, exp at most five minutes ahead, and each jti new."
        ),
    ),
    "invalid_client_metadata": (
        _("A value of the registration is not accepted. The answer names the members."),
        _("The description says for each member what is wrong and what to write instead."),
    ),
    "invalid_grant": (
        _("The code or refresh token is wrong, expired, used before, or was issued to another app."),
        _("Start again with a new authorization request. Codes work once, for 60 seconds."),
    ),
    "invalid_issuer": (_("The issuer asked about is not the right one to ask."), _("Check the issuer in your request.")),
    "invalid_metadata": (
        _("The metadata does not satisfy the metadata policy of the federation."),
        _("Change your entity configuration so that it fits the policies of your superiors."),
    ),
    "invalid_redirect_uri": (
        _("A redirect URI is not accepted."),
        _("Use https, without fragment and wildcard. They are compared exactly, character by character."),
    ),
    "invalid_request": (
        _("A parameter is missing, given twice, malformed, or sent in the wrong place."),
        _("Send parameters once, in the body, as application/x-www-form-urlencoded."),
    ),
    "invalid_request_object": (
        _("The signed request object is malformed, expired, or its signature does not verify."),
        _("Sign it with a registered key, with aud the issuer and a short exp."),
    ),
    "invalid_request_uri": (
        _("The pushed request is unknown, expired, used, or belongs to another app."),
        _("Push the request again and use the new request_uri at once."),
    ),
    "invalid_scope": (
        _("A scope is unknown here, or the app may not have it."),
        _("Register the scope for the app. If it needs approval, ask for it on the page of the app."),
    ),
    "invalid_software_statement": (_("The software statement cannot be verified."), _("Ask whoever issued it for a new one.")),
    "invalid_subject": (_("The subject asked about is not the right one."), _("Check the subject in your request.")),
    "invalid_target": (_("The resource is unknown or not allowed for the app."), _("Leave out resource, or name one you were given.")),
    "invalid_token": (
        _("The token is missing, expired, revoked or malformed."),
        _("Get a new one. All tokens of an app end at once when it or its organization is suspended."),
    ),
    "invalid_trust_anchor": (_("The trust anchor is unknown here or cannot be used."), _("Use one of the anchors this server trusts.")),
    "invalid_trust_chain": (
        _("The chain from the entity to a trust anchor cannot be validated."),
        _("Check the step that the description names, with the operator of your federation."),
    ),
    "login_required": (
        _("The person has to sign in first, and the request did not allow to ask."),
        _("Send the request again without prompt=none."),
    ),
    "not_found": (_("The subject is not known here."), _("Check the spelling; identifiers are compared exactly.")),
    "request_uri_not_supported": (
        _("This server does not fetch request objects from addresses of others."),
        _("Push the request instead (RFC 9126)."),
    ),
    "server_error": (
        _("Something went wrong on our side."),
        _("Try again later. If it stays, tell our staff the request id, which is in the answer and in the header X-Request-ID."),
    ),
    "temporarily_unavailable": (
        _("A limit is used up, or a part of this server is away for a moment."),
        _("Wait as long as Retry-After says, then try again."),
    ),
    "unapproved_software_statement": (
        _("The software statement is good, but its software is not approved here."),
        _("Ask our staff whether it can be approved."),
    ),
    "unauthorized_client": (
        _("The app may not use this grant or endpoint."),
        _("Register the grant for the app, or wait until the app is approved for it."),
    ),
    "unsupported_grant_type": (_("This server does not serve that grant."), _("Use one of grant_types_supported in the server metadata.")),
    "unsupported_response_type": (
        _("This server does not serve that response type."),
        _("Use code."),
    ),
    "unmet_authentication_requirements": (
        _("The app asks for a stronger sign-in than this person has here."),
        _("The person sets up two-step sign-in or a passkey in their account and tries again."),
    ),
    "unsupported_parameter": (_("This server does not support a parameter of the request."), _("Leave it out.")),
}


def catalogue_entries() -> list[CatalogueEntry]:
    """Return the wire codes in order, each with the statuses of the error classes that answer it."""
    found: dict[str, set[int]] = {ProtocolError.code: {ProtocolError.status}}
    waiting: list[type[ProtocolError]] = [OAuthError, FederationError]
    while waiting:
        kind = waiting.pop(0)
        waiting.extend(kind.__subclasses__())
        if "code" in vars(kind) or "status" in vars(kind):
            found.setdefault(kind.code, set()).add(kind.status)
    return [CatalogueEntry(code, tuple(sorted(statuses)), *ADVICE.get(code, ("", ""))) for code, statuses in sorted(found.items())]
