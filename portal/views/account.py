"""The page about oneself: name, sign-in, where one is signed in, and the apps one let in."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import get_language_from_request, gettext_lazy, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from authserver.authorization.people import proven_name
from authserver.consents import withdraw_consent
from authserver.models import Consent
from portal.access import OTHER_BROWSER, actor_for
from portal.views.common import paginate
from portal.views.inbox import preference_rows
from protocol.errors import TransitionRefused
from registry import languages
from registry.models import Scope, User, UserSession
from registry.sessions import end_other_sessions, end_session, list_sessions


class NameForm(forms.ModelForm):
    """The name that people and apps see."""

    class Meta:
        model = User
        fields = ("name",)
        labels = {"name": gettext_lazy("Name")}
        help_texts = {"name": gettext_lazy("Apps see it only if you let them.")}
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}

    def clean_name(self) -> str:
        """Refuse line breaks and other characters that do not show: the name stands in mails and tokens."""
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError(_("The name holds a character that cannot be shown. Type it again."))
        return name


@login_required
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Show the name, the ways to sign in, the sessions and the consents; save the name."""
    # Another object than request.user: a refused name must not show in the top bar.
    user = get_object_or_404(User, pk=request.user.pk)
    form = NameForm(request.POST if request.method == "POST" else None, instance=user)
    if request.method == "POST" and form.is_valid():
        user.save(update_fields=["name"])
        messages.success(request, _("Your name is saved."))
        return redirect("account")
    consents = Consent.objects.filter(user=user).select_related("application__organization").order_by("-given_at", "pk")
    page = paginate(request, consents)
    known = {scope.name: scope for scope in Scope.objects.filter(name__in={name for consent in page for name in consent.scopes})}
    rows = [
        {
            "consent": consent,
            "asker": proven_name(consent.application),
            "scopes": [known[name] for name in consent.scopes if name in known],
        }
        for consent in page
    ]
    sessions, has_more_sessions = list_sessions(user, timezone.now())
    context = {
        "form": form,
        "page": page,
        "rows": rows,
        "preferences": preference_rows(user),
        "sessions": [_session_row(session, request) for session in sessions],
        "has_more_sessions": has_more_sessions,
    }
    return render(request, "account_page/account.html", context)


def _session_row(session: UserSession, request: HttpRequest) -> dict[str, Any]:
    family = session.user_agent_family
    return {
        "session": session,
        "browser": family if family not in ("", OTHER_BROWSER) else _("Unknown browser"),
        "is_current": session.session_id == request.session.session_key,
    }


@login_required
@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Note the language that the person wants to read these pages in."""
    try:
        user = languages.choose_language(get_object_or_404(User, pk=request.user.pk), request.POST.get("language", ""))
    except TransitionRefused as refused:
        messages.error(request, refused.description)
    else:
        with translation.override(user.language or get_language_from_request(request)):
            messages.success(request, _("Your language is saved."))
    return redirect("account")


@login_required
@require_POST
def take_back(request: HttpRequest, consent: int) -> HttpResponse:
    """Take back what one let an app have; what it holds ends at once."""
    row = get_object_or_404(Consent.objects.select_related("application__organization"), pk=consent, user_id=request.user.pk)
    withdraw_consent(row, actor_for(request), now=timezone.now())
    name = row.application.name or row.application.organization.legal_name
    messages.success(request, _("%(app)s has no access any more.") % {"app": name})
    return redirect("account")


@login_required
@require_POST
@reauthentication_required
def end_one(request: HttpRequest, session: int) -> HttpResponse:
    """Sign out one other browser of the person."""
    others = UserSession.objects.exclude(session_id=request.session.session_key)
    end_session(get_object_or_404(others, pk=session, user_id=request.user.pk), actor_for(request))
    messages.success(request, _("That browser is signed out."))
    return _to_sessions()


@login_required
@require_POST
@reauthentication_required
def end_others(request: HttpRequest) -> HttpResponse:
    """Sign out every browser of the person but this one."""
    user = get_object_or_404(User, pk=request.user.pk)
    count = end_other_sessions(user, request.session.session_key, actor_for(request), now=timezone.now())
    said = ngettext("%(count)s other browser is signed out.", "%(count)s other browsers are signed out.", count)
    messages.success(request, said % {"count": count})
    return _to_sessions()


def _to_sessions() -> HttpResponse:
    """Go back to where the sessions are listed."""
    return redirect(f"{reverse('account')}#sessions-heading")
