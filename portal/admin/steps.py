"""Steps of an object, such as suspending it: a confirm page or a form beside what was read, then one call of a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from portal.admin.base import StaffAdmin, staff_actor
from portal.admin.queue import address_of_queue
from portal.mail_preview import MailPreview, is_mailed, preview_mail
from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import Actor
from registry.canned_reasons import reasons_for
from registry.models import CannedReason
from registry.transitions import Transition

# What a button of a step's form asks for, beside making the step.
INSERT: Final = "insert"
PREVIEW: Final = "preview"
REASON_LIMIT: Final = 2000
# What takes the password again when it was not given lately (threats.md R14): who finds an open browser must not decide.
WEIGHTY: Final = frozenset(("approve", "reject", "suspend"))
# Which field a refusal of the service is about; all others are said on top.
_FIELD_OF_REASON: Final = {"override_missing": "override", "reason_missing": "reason"}


@dataclass(frozen=True, slots=True)
class Step:
    """How one transition is offered. `on_page` ones have their button on the object's page, next to what was read.

    `canned` says which words used often are offered for its reason.
    """

    title: str
    button: str
    text: str
    on_page: bool = False
    danger: bool = False
    typed_name: bool = False
    done: str = "Done."
    canned: str = ""


class StepForm(forms.Form):
    """The reason or note of a step, the typed name where it cannot be undone, and the digest of what was read."""

    canned = forms.ModelChoiceField(
        CannedReason.objects.none(), required=False, label=gettext_lazy("Words used often"), empty_label=gettext_lazy("Choose some")
    )
    reason = forms.CharField(required=False, max_length=REASON_LIMIT, widget=forms.Textarea(attrs={"rows": 4}))
    override = forms.CharField(
        required=False,
        max_length=REASON_LIMIT,
        label=gettext_lazy("Why it is fine in spite of the checks"),
        help_text=gettext_lazy("Only our staff reads these words."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    typed_name = forms.CharField(required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    digest = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, step: Step, transition: Transition, name: str, overrides: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = name if step.typed_name else ""
        reason = self.fields["reason"]
        reason.required = transition.needs_reason
        reason.label = _("Reason") if transition.needs_reason else _("Note")
        reason.help_text = _("The partner reads these words.")
        if step.canned:
            self.fields["canned"].queryset = reasons_for(step.canned)  # type: ignore[attr-defined]
        else:
            del self.fields["canned"]
        if step.typed_name:
            self.fields["typed_name"].required = True
            self.fields["typed_name"].label = f"Type the name to confirm: {name}"
        else:
            del self.fields["typed_name"]
        if not step.on_page:
            del self.fields["digest"]
        if not overrides:
            del self.fields["override"]

    def clean_typed_name(self) -> str:
        """Compare the typed name."""
        typed = str(self.cleaned_data["typed_name"])
        if typed.strip() != self.expected.strip():
            raise forms.ValidationError("This is not the name.")
        return typed

    @property
    def words(self) -> str:
        """Return the reason that was typed, followed by the words that were chosen unless they are in it already."""
        typed, chosen = str(self.data.get("reason", "")).strip(), None
        if "canned" in self.fields:
            try:
                chosen = self.fields["canned"].clean(self.data.get("canned"))
            except ValidationError:
                chosen = None  # words that are no longer offered add nothing
        if chosen is None or chosen.text in typed:
            return typed
        return f"{typed}\n\n{chosen.text}".strip()


@dataclass(frozen=True, slots=True)
class OfferedStep:
    """A step that the object's page offers, with its address."""

    name: str
    step: Step
    url: str
    needs_reason: bool


class StepsAdmin(StaffAdmin):
    """An admin whose objects have steps: `steps` says how they are offered, `transitions` which there are."""

    steps: ClassVar[Mapping[str, Step]] = {}
    transitions: ClassVar[Mapping[str, Transition]] = {}

    def run_step(self, subject: Any, name: str, actor: Actor, form: StepForm) -> None:
        """Make the step by one call of a service. Raises TransitionRefused or MetadataRefused."""
        raise NotImplementedError

    def organization_of(self, subject: Any) -> Any:
        """Return the organization that the subject belongs to."""
        return subject.organization

    def step_context(self, subject: Any, name: str) -> dict[str, Any]:  # noqa: ARG002
        """Return what the confirm page shows besides the form, such as what the step affects."""
        return {}

    def must_override(self, subject: Any) -> bool:  # noqa: ARG002
        """Say whether approving takes an explanation, because of what the automatic checks found."""
        return False

    def more_urls(self) -> list[URLPattern]:
        """Return the address of the steps."""
        view = reauthentication_required(require_http_methods(["GET", "POST"])(self.step_view), enabled=self._is_weighty)
        return [path("<int:pk>/steps/<slug:name>/", self.admin_site.admin_view(view), name=self.url_name("step"))]

    def _is_weighty(self, request: HttpRequest) -> bool:
        """Ask for the password again before the page of a step that cannot be undone, and before a weighty one is made."""
        name = request.resolver_match.kwargs["name"] if request.resolver_match else ""
        if name in WEIGHTY:
            return request.method == "POST" and request.POST.get("do") not in (INSERT, PREVIEW)
        return name in self.steps and self.steps[name].typed_name

    def offered(self, request: HttpRequest, subject: Any) -> list[OfferedStep]:
        """Return the steps that this person can make from the state the subject is in. One query."""
        if not self.may_act(request):
            return []
        roles = staff_actor(request).roles(self.organization_of(subject))
        return [
            OfferedStep(name, step, self.url_to("step", subject.pk, name), self.transitions[name].needs_reason)
            for name, step in self.steps.items()
            if subject.state in self.transitions[name].sources and not roles.isdisjoint(self.transitions[name].roles)
        ]

    def step_form(self, subject: Any, name: str, data: Any = None, **initial: str) -> StepForm:
        """Return the form of a step, with what was sent or with `initial` words."""
        overrides = name == "approve" and subject.state in self.transitions[name].sources and self.must_override(subject)
        return StepForm(
            data, step=self.steps[name], transition=self.transitions[name], name=str(subject), overrides=overrides, initial=initial
        )

    def step_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Show what the step does, put words in, preview the mail, and make the step."""
        subject = self.get_subject(request, pk)
        step = self.steps.get(name)
        if step is None:
            raise Http404
        self.require_acting(request)
        if request.method != "POST":
            form = self.step_form(subject, name)
            return redirect(self.url_to("change", pk)) if step.on_page else self._show_step(request, subject, name, form)
        form, asked = self.step_form(subject, name, request.POST), request.POST.get("do", "")
        if asked in (INSERT, PREVIEW):
            return self._show_words(request, subject, name, form, asked)
        if form.is_valid() and self._run(request, subject, name, form):
            return redirect(address_of_queue(request.POST) or self.url_to("change", pk))
        subject = self.get_subject(request, pk)
        if subject.state not in self.transitions[name].sources or (step.on_page and name != "approve"):
            return redirect(self.url_to("change", pk))
        return self._show_step(request, subject, name, form)

    def _show_words(self, request: HttpRequest, subject: Any, name: str, form: StepForm, asked: str) -> HttpResponse:
        """Answer a button that makes nothing: put in words used often, or preview the mail; what was typed stays."""
        typed = {field: str(request.POST.get(field, "")) for field in ("canned", "override", "typed_name")}
        words = form.words if asked == INSERT else str(request.POST.get("reason", ""))
        again = self.step_form(subject, name, **typed, reason=words)
        preview = self._preview(request, subject, name, words) if asked == PREVIEW else None
        if getattr(request, "htmx", False):
            template = "admin/staff/reason.html" if asked == INSERT else "admin/staff/mail_preview.html"
            context = {"form": again, "preview": preview, "step_url": self.url_to("step", subject.pk, name)}
            return render(request, template, context)
        return self._show_step(request, subject, name, again, preview)

    def _preview(self, request: HttpRequest, subject: Any, name: str, words: str) -> MailPreview:
        return preview_mail(self.transitions[name].event, subject, self.organization_of(subject), staff_actor(request), words.strip())

    def _show_step(self, request: HttpRequest, subject: Any, name: str, form: StepForm, preview: MailPreview | None = None) -> HttpResponse:
        """Show the page that the step's form stands on: its own, or the object's."""
        step, url = self.steps[name], self.url_to("step", subject.pk, name)
        if step.on_page:
            return self.object_page(request, subject, approve_form=form, preview=preview, form=form)
        context = {"step": step, "form": form, "subject": subject, "crumbs": [(str(subject), self.url_to("change", subject.pk))]}
        context |= {"preview": preview, "step_url": url, "has_mail": is_mailed(self.transitions[name].event)}
        return self.page(request, "admin/staff/step.html", step.title, **context, **self.step_context(subject, name))

    def _run(self, request: HttpRequest, subject: Any, name: str, form: StepForm) -> bool:
        """Make the step and say how it went."""
        try:
            self.run_step(subject, name, staff_actor(request), form)
        except (TransitionRefused, MetadataRefused) as error:
            field = _FIELD_OF_REASON.get(getattr(error, "reason", ""))
            if field in form.fields:
                form.add_error(field, error.description)
            else:
                messages.error(request, error.description)
            return False
        messages.success(request, self.steps[name].done)
        return True
