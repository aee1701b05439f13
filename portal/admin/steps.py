"""Steps of an object, such as suspending it: a confirm page, then one call of a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from portal.admin.base import StaffAdmin, staff_actor
from protocol.errors import MetadataRefused, TransitionRefused
from registry.actors import Actor
from registry.transitions import Transition


@dataclass(frozen=True, slots=True)
class Step:
    """How one transition is offered. `on_page` ones have their button on the object's page, next to what was read."""

    title: str
    button: str
    text: str
    on_page: bool = False
    danger: bool = False
    typed_name: bool = False
    done: str = "Done."


class StepForm(forms.Form):
    """The reason or note of a step, the typed name where it cannot be undone, and the digest of what was read."""

    reason = forms.CharField(required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 4}))
    typed_name = forms.CharField(required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    digest = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, step: Step, transition: Transition, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = name if step.typed_name else ""
        reason = self.fields["reason"]
        reason.required = transition.needs_reason
        reason.label = "Reason" if transition.needs_reason else "Note"
        reason.help_text = "The partner reads these words."
        if step.typed_name:
            self.fields["typed_name"].required = True
            self.fields["typed_name"].label = f"Type the name to confirm: {name}"
        else:
            del self.fields["typed_name"]
        if not step.on_page:
            del self.fields["digest"]

    def clean_typed_name(self) -> str:
        """Compare the typed name."""
        typed = str(self.cleaned_data["typed_name"])
        if typed.strip() != self.expected.strip():
            raise forms.ValidationError("This is not the name.")
        return typed


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

    def more_urls(self) -> list[URLPattern]:
        """Return the address of the steps."""
        view = reauthentication_required(require_http_methods(["GET", "POST"])(self.step_view), enabled=self._is_final)
        return [path("<int:pk>/steps/<slug:name>/", self.admin_site.admin_view(view), name=self.url_name("step"))]

    def _is_final(self, request: HttpRequest) -> bool:
        """Ask for the password again before a step that cannot be undone."""
        match = request.resolver_match
        step = self.steps.get(match.kwargs["name"]) if match else None
        return step is not None and step.typed_name

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

    def step_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Show what the step does, and make it."""
        subject = self.get_subject(request, pk)
        step = self.steps.get(name)
        if step is None:
            raise Http404
        self.require_acting(request)
        data = request.POST if request.method == "POST" else None
        if data is None and step.on_page:
            return redirect(self.url_to("change", pk))
        form = StepForm(data, step=step, transition=self.transitions[name], name=str(subject))
        if form.is_valid():
            self._run(request, subject, name, form)
            return redirect(self.url_to("change", pk))
        context = {"step": step, "form": form, "subject": subject, "crumbs": [(str(subject), self.url_to("change", pk))]}
        return self.page(request, "admin/staff/step.html", step.title, **context, **self.step_context(subject, name))

    def _run(self, request: HttpRequest, subject: Any, name: str, form: StepForm) -> None:
        try:
            self.run_step(subject, name, staff_actor(request), form)
        except (TransitionRefused, MetadataRefused) as error:
            messages.error(request, error.description)
        else:
            messages.success(request, self.steps[name].done)
