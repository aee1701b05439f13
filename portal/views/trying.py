"""Trying an app out: an authorization request explained, code and PKCE end to end, and client credentials (portal.md, page 20)."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from authserver.authorization.requests import check_way
from authserver.endpoints import endpoint_url
from authserver.models import AuthorizationRequest
from dcr.answers import registration_client_uri
from portal.access import EDITORS, actor_for, get_client
from portal.forms.trying import ExchangeForm, OwnTokenForm, SignInTestForm
from portal.snippets.assertions import assertion_snippet
from portal.trying.addresses import add_callback, has_callback, remove_callback
from portal.trying.answers import Try, advice_for, shorten
from portal.trying.started import callback_of, find_test, start_test, take_test
from portal.trying.tokens import ask_for_own_token, exchange_code
from portal.views.common import page, refusals_denied
from protocol.errors import InvalidRequest, MetadataRefused, TransitionRefused
from registry.models import Client

_ADDRESS_STEPS: Final = ("add", "remove")
_SHOWN_LIMIT: Final = 500


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def app_test(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Show what can be tried; by POST, build an authorization request and explain it."""
    client = get_client(request, slug, reference, *EDITORS)
    if request.method != "POST" or not _may_sign_in(client):
        return _test_page(request, client)
    form = SignInTestForm(request.POST, client=client)
    if not form.is_valid():
        return _test_page(request, client, sign_in_form=form)
    parameters = start_test(request.session, client, form.chosen)
    query = urlencode([(parameter.name, parameter.value) for parameter in parameters])
    address = f"{endpoint_url('authorization_endpoint')}?{query}"
    context = {"parameters": parameters, "address": address, **_signing(client)}
    return _page(request, "apps/test_request.html", client, context)


@never_cache
@login_required
@require_GET
def app_test_callback(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Show what came back from the authorization endpoint, and offer to exchange the code; changes nothing."""
    client = get_client(request, slug, reference, *EDITORS)
    given = {
        name: request.GET.get(name, "").replace("\0", "")[:_SHOWN_LIMIT] for name in ("state", "iss", "code", "error", "error_description")
    }
    known = find_test(request.session, client, given["state"]) is not None and _can_be_tried(client)
    problem = ""
    if not known:
        problem = _(
            "No test that was started in this browser waits for this answer: it was finished, it took too long, or it is another's."
        )
    elif given["iss"] != settings.ISSUER:
        problem = _("The answer names another issuer than this server; an app must not use such a code.")
    elif not given["error"] and not given["code"]:
        problem = _("The answer holds neither a code nor an error.")
    form = None
    if not problem and not given["error"]:
        form = ExchangeForm(client=client, initial={"state": given["state"], "code": given["code"]})
    return _callback_page(request, client, form, {"given": given, "problem": problem})


@never_cache
@sensitive_post_parameters("client_secret", "client_assertion", "code")
@login_required
@require_POST
def app_test_exchange(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Exchange the code of a started test, show what came of it, and end it."""
    client = get_client(request, slug, reference, *EDITORS)
    form = ExchangeForm(request.POST, client=client)
    valid = form.is_valid()
    form.forget_credentials()
    if not valid and not {"state", "code"} & set(form.errors):
        return _callback_page(request, client, form, {"given": {"state": form.cleaned_data["state"], "code": form.cleaned_data["code"]}})
    test = take_test(request.session, client, form.cleaned_data["state"]) if valid and _can_be_tried(client) else None
    if test is None:
        messages.error(request, _("This test is over: it was finished, or it took too long. Start another one."))
        return redirect("app_test", slug, reference)
    source = request.META.get("REMOTE_ADDR", "")
    done = exchange_code(client, test, form.cleaned_data["code"], form.credential, source=source, now=timezone.now())
    return _answer_page(request, client, done)


@never_cache
@sensitive_post_parameters("client_secret", "client_assertion")
@login_required
@require_POST
def app_test_token(request: HttpRequest, slug: str, reference: UUID) -> HttpResponse:
    """Ask for a token of the app itself, show what came of it, and end it."""
    client = get_client(request, slug, reference, *EDITORS)
    if not _can_be_tried(client):
        return redirect("app_test", slug, reference)
    form = OwnTokenForm(request.POST, client=client)
    valid = form.is_valid()
    form.forget_credentials()
    if not valid:
        return _test_page(request, client, token_form=form)
    scope, source = " ".join(form.cleaned_data["scope"]), request.META.get("REMOTE_ADDR", "")
    return _answer_page(request, client, ask_for_own_token(client, scope, form.credential, source=source, now=timezone.now()))


@login_required
@require_POST
def app_test_address(request: HttpRequest, slug: str, reference: UUID, step: str) -> HttpResponse:
    """Add the test callback to the redirect URIs of an app, or take it away."""
    client = get_client(request, slug, reference, *EDITORS)
    if step not in _ADDRESS_STEPS:
        raise Http404
    change, done = (
        (add_callback, _("Added. The test can start.")) if step == "add" else (remove_callback, _("Taken away from the redirect URIs."))
    )
    try:
        with refusals_denied():
            change(client, actor_for(request), now=timezone.now())
        messages.success(request, done)
    except MetadataRefused as refused:
        messages.error(request, " ".join(finding.sentence for finding in refused.findings if finding.level == "error"))
    except TransitionRefused as refused:
        messages.error(request, refused.description)
    return redirect("app_test", slug, reference)


def _can_be_tried(client: Client) -> bool:
    """Say whether an app is tried here: a test app that is not closed. A live one has people whose tokens are none of this page's."""
    return client.stage == Client.Stage.TEST and client.state != Client.State.CLOSED


def _may_sign_in(client: Client) -> bool:
    return _can_be_tried(client) and "authorization_code" in client.grant_types and has_callback(client)


def _test_page(
    request: HttpRequest, client: Client, *, sign_in_form: SignInTestForm | None = None, token_form: OwnTokenForm | None = None
) -> HttpResponse:
    context = {
        "can_be_tried": _can_be_tried(client),
        "signs_in": "authorization_code" in client.grant_types,
        "acts_alone": "client_credentials" in client.grant_types,
        "callback": callback_of(client),
        "has_callback": has_callback(client),
        "may_change": client.source == Client.Source.MANUAL and client.state != Client.State.CLOSED,
        "registration_client_uri": registration_client_uri(client.client_id) if client.source == Client.Source.DCR else "",
        "objection": _objection(client),
        "sign_in_form": sign_in_form or SignInTestForm(client=client, auto_id="sign_in_%s"),
        "token_form": token_form or OwnTokenForm(client=client),
        "form": sign_in_form or token_form,
        **_signing(client),
    }
    return _page(request, "apps/test.html", client, context)


def _objection(client: Client) -> str:
    """Return why plain requests of the app are refused, if they are: it pushes or signs them."""
    try:
        check_way(client, AuthorizationRequest.Origin.PARAMETERS, signed=False)
    except InvalidRequest as refused:
        return refused.description
    return ""


def _signing(client: Client) -> dict[str, str]:
    """Return the claims that a client assertion needs, and how to sign them; nothing for apps that need none."""
    if client.token_endpoint_auth_method != "private_key_jwt":
        return {}
    now = int(time.time())
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": settings.ISSUER,
        "iat": now,
        "exp": now + 240,
        "jti": uuid.uuid4().hex,
    }
    return {"assertion_claims": json.dumps(claims, indent=2), "assertion_snippet": assertion_snippet(client)}


def _callback_page(request: HttpRequest, client: Client, form: ExchangeForm | None, context: dict[str, Any]) -> HttpResponse:
    given = context["given"]
    context |= {"form": form, "shown_code": shorten(given["code"]) if given["code"] else "", "advice": advice_for(given.get("error", ""))}
    return _page(request, "apps/test_callback.html", client, {**context, **_signing(client)})


def _answer_page(request: HttpRequest, client: Client, done: Try) -> HttpResponse:
    return _page(
        request,
        "apps/test_answer.html",
        client,
        {"done": done, "back": reverse("app_test", args=[client.organization.slug, client.reference])},
    )


def _page(request: HttpRequest, template: str, client: Client, context: dict[str, Any]) -> HttpResponse:
    return page(request, template, client.organization, "apps", {"client": client, "tab": "test", **context})
