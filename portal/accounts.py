"""Sign-in, sign-up and second factors: how allauth behaves here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend as AllauthBackend
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.core import context
from csp.decorators import csp_replace
from django.conf import settings
from django.contrib.auth import get_user_model, logout
from django.utils.http import url_has_allowed_host_and_scheme

from portal.context import Portal
from registry.inbox import with_unread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from django.core.mail import EmailMessage
    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    from registry.models import User

    View = Callable[..., HttpResponseBase]


class AuthenticationBackend(AllauthBackend):
    """allauth's backend; who is signed in comes with the number of their unread notices, in the query that every page makes anyway."""

    def get_user(self, user_id: Any) -> User | None:
        """Return the person of a session with `unread_notices`, None when there is none or they may not sign in any more."""
        user: User | None = with_unread(get_user_model()._default_manager.filter(pk=user_id)).first()  # noqa: SLF001 - as Django does
        return user if user is not None and self.user_can_authenticate(user) else None


class AccountAdapter(DefaultAccountAdapter):
    """allauth's rules with this site's redirects and mails."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Anyone may make an account; what they may do with it is decided when their organization is reviewed."""
        return True

    def pre_login(self, request: HttpRequest, user: User, **options: Any) -> HttpResponse | None:
        """End the session at hand before somebody signs in over it: allauth lets nobody who is signed in do the second step."""
        response: HttpResponse | None = super().pre_login(request, user, **options)
        if response is None and request.user.is_authenticated:
            proven = get_authentication_records(request, user)[-1:]
            logout(request)
            _record(request, user, proven)
        return response

    def login(self, request: HttpRequest, user: User) -> None:
        """Sign in and record how: Django drops the records with the session of somebody else, and confirming an address makes none."""
        records = get_authentication_records(request, user)
        super().login(request, user)
        if not get_authentication_records(request, user):
            _record(request, user, records or [{"method": "email"}])

    def is_safe_url(self, url: str) -> bool:
        """Accept redirects after sign-in to this site only: the issuer's origin, or the host that was asked."""
        hosts = {urlsplit(settings.ISSUER).netloc, context.request.get_host()}
        return url_has_allowed_host_and_scheme(url, allowed_hosts=hosts, require_https=settings.HTTPS)

    def render_mail(
        self, template_prefix: str, email: str | list[str], context: dict[str, Any], headers: dict[str, str] | None = None
    ) -> EmailMessage:
        """Render a mail from our templates, which know the site."""
        context = {"portal": Portal(context.get("request")), **context}
        message: EmailMessage = super().render_mail(template_prefix, email, context, headers)
        return message


def _record(request: HttpRequest, user: User, records: Iterable[Mapping[str, Any]]) -> None:
    for record in records:
        record_authentication(request, user, **{name: value for name, value in record.items() if name != "at"})


def without_form_action(view: View) -> View:
    """Return `view` with a content security policy that has no `form-action` (house decision 19).

    Chromium applies `form-action` to the redirects after a POST. Signing in may end, through the authorization endpoint, at a
    partner's redirect URI, which no policy of the sign-in page can know.
    """
    return csp_replace({"form-action": None})(view)
