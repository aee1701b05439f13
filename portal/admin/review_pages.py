"""What the review pages of organizations and change requests have in common: conversation, internal notes, the website's check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from portal.admin.base import staff_actor
from portal.admin.roles import may_act
from portal.admin.steps import OfferedStep, StepsAdmin
from portal.forms.once import OnceForm, run_once
from portal.mail_preview import is_mailed
from protocol.errors import TransitionRefused
from registry.homepages import check_homepage
from registry.models import ChangeRequest, Organization
from registry.review_comments import TEXT_LIMIT, add_comment, add_note, comments_for_staff


class NoteForm(OnceForm):
    """A note of our staff."""

    text = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=TEXT_LIMIT,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Only our staff reads it."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="note_%s", **kwargs)


class CommentForm(OnceForm):
    """A comment of the reviewer."""

    text = forms.CharField(
        label=gettext_lazy("Write to the partner"),
        max_length=TEXT_LIMIT,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("The partner reads it at once, as from our staff."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="comment_%s", **kwargs)


class ReviewPage(StepsAdmin):
    """An admin whose objects are reviewed on their page."""

    def more_urls(self) -> list[URLPattern]:
        """Add what is posted from the page."""
        return [*super().more_urls(), self.posted("note", self.note_view)]

    def offered(self, request: HttpRequest, subject: Any) -> list[OfferedStep]:
        """Leave out taking on what the person reviews already."""
        return [one for one in super().offered(request, subject) if one.name != "assign" or subject.reviewer_id != request.user.pk]

    def posted(self, name: str, view: Callable[..., HttpResponse]) -> URLPattern:
        """Return the address that a form on the page posts to; a GET leads to the page."""
        answered = require_http_methods(["GET", "POST"])(view)
        return path(f"<int:pk>/{name}/", self.admin_site.admin_view(answered), name=self.url_name(name))

    def may_note(self, request: HttpRequest) -> bool:
        """Say whether the person may write notes and check websites."""
        return may_act(request.user, "notes")  # type: ignore[arg-type]

    def require_noting(self, request: HttpRequest) -> None:
        """Refuse those who only read. Raises PermissionDenied."""
        if not self.may_note(request):
            raise PermissionDenied("Your role may read this and not write here.")

    def review_context(self, request: HttpRequest, subject: Any) -> dict[str, Any]:
        """Return decision form, conversation and notes. Two queries."""
        request_row = subject if isinstance(subject, ChangeRequest) else None
        comments = list(comments_for_staff(self.organization_of(subject), request_row))
        return {
            "approve_form": self.step_form(subject, "approve"),
            "approve_is_mailed": is_mailed(self.transitions["approve"].event),
            "thread": [row for row in comments if not row.is_internal],
            "notes": [row for row in comments if row.is_internal],
            "note_form": NoteForm(),
            "note_url": self.url_to("note", subject.pk),
            "may_note": self.may_note(request),
        }

    def note_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Keep a note of our staff."""
        subject = self.get_subject(request, pk)
        self.require_noting(request)
        organization: Organization = self.organization_of(subject)
        about = subject if isinstance(subject, ChangeRequest) else None

        def write(text: str) -> None:
            add_note(organization, staff_actor(request), text, now=timezone.now(), request=about)

        return self._write(request, subject, NoteForm(request.POST), write, field="note_form", done=_("The note is kept."))

    def comment_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Write to the partner."""
        subject: ChangeRequest = self.get_subject(request, pk)
        self.require_acting(request)

        def write(text: str) -> None:
            add_comment(subject, staff_actor(request), text, now=timezone.now())

        return self._write(request, subject, CommentForm(request.POST), write, field="comment_form", done=_("The partner can read it now."))

    def _write(
        self, request: HttpRequest, subject: Any, form: OnceForm, write: Callable[[str], None], *, field: str, done: str
    ) -> HttpResponse:
        """Write once, and return to the page; what is refused stays in its form."""
        url = self.url_to("change", subject.pk)
        if request.method != "POST":
            return redirect(url)

        def create() -> str:
            write(form.cleaned_data["text"])
            messages.success(request, done)
            return url

        if form.is_valid():
            try:
                return redirect(run_once(request, form, create, otherwise=url))
            except TransitionRefused as error:
                form.add_error("text", error.description)
        return self.object_page(request, subject, **{field: form, "form": form})

    def homepage_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask whether the website of the organization answers."""
        subject: Organization = self.get_subject(request, pk)
        self.require_noting(request)
        if request.method == "POST":
            try:
                found = check_homepage(subject, staff_actor(request), now=timezone.now())
            except TransitionRefused as error:
                messages.error(request, error.description)
            else:
                level = messages.SUCCESS if found.answers else messages.WARNING
                messages.add_message(request, level, f"{found.website}: {found.sentence}")
        return redirect(self.url_to("change", pk))
