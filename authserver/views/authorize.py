"""The authorization endpoint and the pages behind it (RFC 6749, 3.1; OpenID Connect Core, 3.1.2)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from authserver.authorization import people
from authserver.authorization.answers import answer, answer_error, form_target
from authserver.authorization.authentication import SignedIn, read_sign_in
from authserver.authorization.differences import nearest, show_difference
from authserver.authorization.parameters import AuthorizationParameters, RedirectUriUnproven, check_text
from authserver.authorization.people import Need
from authserver.authorization.requests import RefusedAfterProof, find_pushed_request, is_pushed, keep_request, prove_request
from authserver.consents import remember_consent
from authserver.families import issue_code
from authserver.models import AuthorizationRequest
from authserver.throttling import note_sign_in
from authserver.views.base import FORM
from protocol.constants import REQUEST_OBJECT_LIMIT
from protocol.errors import (
    AccessDenied,
    ConsentRequired,
    InvalidRequest,
    LoginRequired,
    MethodNotAllowed,
    OAuthError,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from registry.actors import person
from registry.models import Scope, User


@method_decorator(csrf_exempt, name="dispatch")
class AuthorizeView(View):
    """Proves a request, keeps it, and sends the browser on to the page where the person answers. Needs no cookie (JAR by POST)."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer GET and POST alike (OpenID Connect Core, 3.1.2.1)."""
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(("GET", "POST"))
        try:
            row = self.prove(request)
        except RefusedAfterProof as refusal:
            return answer_error(request, refusal.redirect_uri, refusal.response_mode, refusal.state, refusal.error)
        except OAuthError as error:
            return error_page(request, error)
        return HttpResponseRedirect(reverse("interaction", args=[row.reference]))

    def prove(self, request: HttpRequest) -> AuthorizationRequest:
        """Return the kept request. Raises OAuthError, RefusedAfterProof."""
        raw, now = _parameters(request), timezone.now()
        if is_pushed(raw):
            return find_pushed_request(raw, now=now)
        proven = prove_request(raw, now=now)
        note_sign_in(request.META.get("REMOTE_ADDR", ""))
        return keep_request(proven, now=now)


def _parameters(request: HttpRequest) -> dict[str, str]:
    """Return the parameters of a request; each may come once (RFC 6749, 3.1)."""
    if request.method == "POST" and request.content_type != FORM:
        raise UnsupportedMediaType(f"Send the parameters as {FORM}.")
    if request.method == "POST" and len(request.body) > REQUEST_OBJECT_LIMIT + 8192:
        raise PayloadTooLarge
    source = request.GET if request.method == "GET" else request.POST
    repeated = [name[:60] for name, values in source.lists() if len(values) > 1]
    if repeated:
        raise InvalidRequest("A parameter comes more than once.", members=tuple(repeated[:5]))
    parameters = {name: value for name, value in source.items() if isinstance(value, str) and value}
    check_text(parameters)
    return parameters


def error_page(request: HttpRequest, error: OAuthError) -> HttpResponse:
    """Show a developer what is wrong; nothing is sent to an address that was not proven (BCP-01; threats.md O05)."""
    context: dict[str, Any] = {"error": error}
    if isinstance(error, RedirectUriUnproven):
        context |= {"received": error.received, "registered": error.registered}
        if closest := nearest(error.received, error.registered):
            context |= {"closest": closest, "difference": show_difference(error.received, closest)}
    response = render(request, "authorize/error.html", context, status=error.status)
    response["Cache-Control"] = "no-store"
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    return response


def signed_in_person(request: HttpRequest) -> SignedIn | None:
    """Return who is signed in, and how; a session without a record of that counts as not signed in."""
    if not isinstance(request.user, User):
        return None
    return read_sign_in(request.user, get_authentication_records(request, request.user))


class InteractionView(View):
    """The page behind an authorization request: leads through signing in and consent, then answers the app."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer errors that the app may hear to the app, others on a page."""
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed(("GET", "POST"))
        try:
            row = people.open_request(kwargs["reference"], now=timezone.now())
        except OAuthError as error:
            return error_page(request, error)
        parameters = AuthorizationParameters.from_json(row.parameters)
        try:
            if request.user.is_authenticated:
                people.bind_to(row, request.user)
        except OAuthError as error:
            return error_page(request, error)
        try:
            return self.step(request, row, parameters)
        except OAuthError as error:
            return _to_app(request, parameters, error)

    def step(self, request: HttpRequest, row: AuthorizationRequest, parameters: AuthorizationParameters) -> HttpResponse:
        """Do what is needed next."""
        signed_in = signed_in_person(request)
        need = people.next_need(row, parameters, signed_in, now=timezone.now())
        if "none" in parameters.prompt and need is not Need.NOTHING:
            raise ConsentRequired if need is Need.CONSENT else LoginRequired
        if need is Need.SIGN_IN or signed_in is None:
            return _to_sign_in("account_login", row, parameters)
        if need is Need.SIGN_IN_AGAIN:
            return _to_sign_in("account_reauthenticate", row, parameters)
        if request.method == "POST" and request.POST.get("answer") != "allow":
            return self.refuse(row)
        if need is Need.NOTHING:
            return _finish(request, row, parameters, signed_in)
        return self.consent(request, row, parameters, signed_in)

    def refuse(self, row: AuthorizationRequest) -> HttpResponse:
        """Use the request up without a code: whoever says no is not overruled by what another page of theirs was told before."""
        AuthorizationRequest.objects.filter(pk=row.pk, consumed_at=None).update(consumed_at=timezone.now())
        raise AccessDenied("The person did not allow it.")

    def consent(
        self, request: HttpRequest, row: AuthorizationRequest, parameters: AuthorizationParameters, signed_in: SignedIn
    ) -> HttpResponse:
        """Show what the app asks for, or take the person's leave."""
        if request.method == "POST":
            actor = person(signed_in.user, request_id=getattr(request, "request_id", ""))
            remember_consent(signed_in.user, row.application, parameters.consent_scopes, actor, now=timezone.now())
            return _finish(request, row, parameters, signed_in)
        known = {scope.name: scope for scope in Scope.objects.filter(name__in=parameters.consent_scopes)}
        context = {
            "client": row.application,
            "organization": row.application.organization,
            "scopes": [known[name] for name in parameters.consent_scopes if name in known],
            "returns_to": form_target(parameters.redirect_uri),
        }
        response = render(request, "authorize/consent.html", context)
        response._csp_update = {"form-action": [form_target(parameters.redirect_uri)]}  # type: ignore[attr-defined]
        return response


def _to_sign_in(url_name: str, row: AuthorizationRequest, parameters: AuthorizationParameters) -> HttpResponse:
    """Send the person to sign in, and back here; only the reference travels, never the parameters."""
    query = {"next": reverse("interaction", args=[row.reference])}
    if parameters.login_hint and url_name == "account_login":
        query["login"] = parameters.login_hint[:254]
    return HttpResponseRedirect(f"{reverse(url_name)}?{urlencode(query)}")


def _finish(request: HttpRequest, row: AuthorizationRequest, parameters: AuthorizationParameters, signed_in: SignedIn) -> HttpResponse:
    code = issue_code(row, parameters, signed_in, now=timezone.now())
    return answer(request, parameters.redirect_uri, parameters.response_mode, parameters.state, {"code": code})


def _to_app(request: HttpRequest, parameters: AuthorizationParameters, error: OAuthError) -> HttpResponse:
    return answer_error(request, parameters.redirect_uri, parameters.response_mode, parameters.state, error)
