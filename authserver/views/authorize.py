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
from authserver.authorization.answers import answer, answer_error, destination, without_form_action
from authserver.authorization.authentication import SignedIn, read_sign_in
from authserver.authorization.codes import issue_code, use_up
from authserver.authorization.parameters import AuthorizationParameters
from authserver.authorization.people import Need, may_be_sent_to
from authserver.authorization.requests import RefusedAfterProof, find_pushed_request, is_pushed, keep_request, prove_again, prove_request
from authserver.consents import remember_consent
from authserver.models import AuthorizationRequest
from authserver.refusals import note_refusal, read_refused_form
from authserver.throttling import note_sign_in
from authserver.views.people import browser_parameters, error_page
from protocol.errors import AccessDenied, FederationError, InvalidRequestUri, MethodNotAllowed, OAuthError
from registry.actors import person
from registry.models import Scope, User

# What a failed request is noted under, whichever of the pages refused it.
ENDPOINT = "authorization"
# Where allauth keeps a sign-in whose second step is still to come.
UNFINISHED_SIGN_IN = "account_login"


@method_decorator(csrf_exempt, name="dispatch")
class AuthorizeView(View):
    """Proves a request, keeps it, and sends the browser on to the page where the person answers. Needs no cookie (JAR by POST)."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer GET and POST alike (OpenID Connect Core, 3.1.2.1)."""
        try:
            row = self.prove(request)
        except RefusedAfterProof as refusal:
            note_refusal(request, ENDPOINT, refusal.error, refusal.client.client_id)
            if not may_be_sent_to(refusal.client, person_of(request)):
                return error_page(request, refusal.error)
            return answer_error(request, refusal.redirect_uri, refusal.response_mode, refusal.state, refusal.error)
        except (OAuthError, FederationError) as error:
            note_refusal(request, ENDPOINT, error, read_refused_form(request).get("client_id", ""))
            return error_page(request, error)
        return HttpResponseRedirect(reverse("interaction", args=[row.reference]))

    def prove(self, request: HttpRequest) -> AuthorizationRequest:
        """Return the kept request. Raises OAuthError, RefusedAfterProof."""
        raw, now = browser_parameters(request), timezone.now()
        if is_pushed(raw):
            return find_pushed_request(raw, now=now)
        source = request.META.get("REMOTE_ADDR", "")
        note_sign_in(source)
        return keep_request(prove_request(raw, now=now, source=source), now=now)


def person_of(request: HttpRequest) -> User | None:
    """Return who is signed in."""
    return request.user if isinstance(request.user, User) else None


def sign_in_of(request: HttpRequest) -> SignedIn | None:
    """Return who is signed in, and how; a session without a record of that counts as not signed in, and so does an unfinished sign-in."""
    user = person_of(request)
    if user is None or UNFINISHED_SIGN_IN in request.session:
        return None
    return read_sign_in(user, get_authentication_records(request, user))


class InteractionView(View):
    """The page behind an authorization request: leads through signing in and consent, then answers the app."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer errors that the app may hear to the app, others on a page."""
        now, user = timezone.now(), person_of(request)
        try:
            if request.method not in ("GET", "POST"):
                raise MethodNotAllowed(("GET", "POST"))
            row = people.open_request(kwargs["reference"], now=now)
        except OAuthError as error:
            return error_page(request, error)
        parameters = AuthorizationParameters.from_json(row.parameters)
        try:
            prove_again(row, parameters, now=now)
        except OAuthError as error:
            note_refusal(request, ENDPOINT, error, row.application.client_id)
            return error_page(request, error)
        try:
            return self.step(request, row, parameters)
        except InvalidRequestUri as error:
            return error_page(request, error)
        except OAuthError as error:
            note_refusal(request, ENDPOINT, error, row.application.client_id)
            use_up(row, now=now)
            if not may_be_sent_to(row.application, user):
                return error_page(request, error)
            return answer_error(request, parameters.redirect_uri, parameters.response_mode, parameters.state, error)

    def step(self, request: HttpRequest, row: AuthorizationRequest, parameters: AuthorizationParameters) -> HttpResponse:
        """Do what is needed next."""
        if request.method == "POST" and request.POST.get("answer") != "allow":
            raise AccessDenied("The person did not allow it.")
        signed_in = sign_in_of(request)
        need = people.next_need(row, parameters, signed_in, now=timezone.now())
        if need is Need.SIGN_IN or signed_in is None:
            return _to_sign_in("account_login", row, parameters)
        if need is Need.SIGN_IN_AGAIN:
            return _to_sign_in("account_reauthenticate", row, parameters)
        people.bind_to(row, signed_in.user)
        if need is Need.CONSENT and request.method == "GET":
            return _ask(request, row, parameters)
        if need is Need.CONSENT:
            actor = person(signed_in.user, request_id=getattr(request, "request_id", ""))
            remember_consent(signed_in.user, row.application, parameters.consent_scopes, actor, now=timezone.now())
        code = issue_code(row, parameters, signed_in, now=timezone.now())
        return answer(request, parameters.redirect_uri, parameters.response_mode, parameters.state, {"code": code})


def _ask(request: HttpRequest, row: AuthorizationRequest, parameters: AuthorizationParameters) -> HttpResponse:
    """Show what the app asks for."""
    known = {scope.name: scope for scope in Scope.objects.filter(name__in=parameters.consent_scopes)}
    context = {
        "client": row.application,
        "asker": people.proven_name(row.application),
        "scopes": [known.get(name) or Scope(name=name, title=name) for name in parameters.consent_scopes],
        "returns_to": destination(parameters.redirect_uri),
    }
    return without_form_action(render(request, "authorize/consent.html", context))


def _to_sign_in(url_name: str, row: AuthorizationRequest, parameters: AuthorizationParameters) -> HttpResponse:
    """Send the person to sign in, and back here; only the reference travels, never the parameters."""
    query = {"next": reverse("interaction", args=[row.reference])}
    if parameters.login_hint and url_name == "account_login":
        query["login"] = parameters.login_hint[:254]
    return HttpResponseRedirect(f"{reverse(url_name)}?{urlencode(query)}")
