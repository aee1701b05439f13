"""What all tools have in common: a page with a form, and the answer beside it, as a page or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from portal.access import source_address
from portal.forms.tools import ToolForm
from protocol.errors import TooManyRequests
from protocol.fetch import Fetcher
from registry.findings import Finding
from registry.models import Organization
from registry.tool_limits import question

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, as the menu and its own page show it."""

    name: str
    word: _StrPromise
    title: _StrPromise
    lead: _StrPromise
    button: _StrPromise
    needs_account: bool = False


TOOLS: Final = (
    Tool(
        "tool_keys",
        _("Keys"),
        _("Check a key set"),
        _("Paste a JWK Set, or give its address, and read what any server would say about each key."),
        _("Check keys"),
    ),
    Tool(
        "tool_redirect_uris",
        _("Redirect URIs"),
        _("Check redirect URIs"),
        _("Find out which redirect URIs can be registered here, and why others cannot, before you register an app."),
        _("Check redirect URIs"),
    ),
    Tool(
        "tool_jwt",
        _("JWT"),
        _("Decode a JWT"),
        _("See the header, the claims and the times in words. Only keys that you paste are used; nothing is fetched."),
        _("Decode"),
    ),
    Tool(
        "tool_entity",
        _("Entity"),
        _("Read an entity configuration"),
        _("Fetch what an entity of a federation publishes about itself, and see whether it is as it should be."),
        _("Read"),
        needs_account=True,
    ),
    Tool(
        "tool_chain",
        _("Trust chain"),
        _("Resolve a trust chain"),
        _("Go step by step from an entity up to a trust anchor that is accepted here, and see where it ends and who can fix it."),
        _("Resolve"),
        needs_account=True,
    ),
    Tool(
        "tool_dry_run",
        _("Dry run"),
        _("Try out metadata"),
        _("See what a federation's policies and the rules of this server would make of metadata. Nothing is registered."),
        _("Try it out"),
    ),
    Tool(
        "tool_pem",
        _("PEM to JWK"),
        _("Turn PEM into a JWK"),
        _("Turn public keys and certificates into a JWK Set, ready to be registered."),
        _("Convert"),
    ),
)
_BY_NAME: Final = {tool.name: tool for tool in TOOLS}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool found: for the page, and for programs. None of it was stored."""

    context: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


# A tool gets its valid form and, when it asked for one, a fetcher; it may add errors to the form and return None.
Run = Callable[[HttpRequest, Any, Fetcher | None], Answer | None]


def tool_view(
    name: str, form_class: type[ToolForm], run: Run, example: Callable[[HttpRequest], dict[str, Any]]
) -> Callable[..., HttpResponse]:
    """Return the view of the tool `name`: GET shows its form, filled in with an example when that is asked for, POST the answer."""
    tool = _BY_NAME[name]

    def view(request: HttpRequest) -> HttpResponse:
        own = _organizations_of(request)
        if request.method != "POST":
            return _page(request, tool, form_class(initial=example(request) if request.GET.get("example") else {}, organizations=own))
        form = form_class(request.POST, organizations=own)
        try:
            answer = _answer(request, form, run)
        except TooManyRequests as error:
            return _refuse(request, tool, form, error)
        if answer is None and form.is_valid():
            return _ask_to_sign_in(request, tool, form)
        if wants_json(request):
            return JsonResponse(answer.data) if answer else JsonResponse({"errors": _errors(form)}, status=400)
        return _page(request, tool, _given_back(form, answer), **(answer.context if answer else {}), answered=answer is not None)

    protected = csrf_protect(view)

    def dispatch(request: HttpRequest) -> HttpResponse:
        # What is neither stored nor fetched is nobody's authority, so that a program needs no cookie for it.
        alone = wants_json(request) and not request.user.is_authenticated
        return view(request) if alone else protected(request)

    return csrf_exempt(require_http_methods(["GET", "HEAD", "POST"])(dispatch))


def _organizations_of(request: HttpRequest) -> QuerySet[Organization]:
    """Return the organizations that the visitor is a member of, by name; asked by forms that judge by rules, never for a stranger."""
    if not request.user.is_authenticated:
        return Organization.objects.none()
    return Organization.objects.filter(memberships__user=request.user).order_by("legal_name")


def _answer(request: HttpRequest, form: ToolForm, run: Run) -> Answer | None:
    """Run the tool on a valid form, with a fetcher when it needs one and the person is signed in. Raises TooManyRequests."""
    if not form.is_valid():
        return None
    fetcher: AbstractContextManager[Fetcher | None] = nullcontext()
    if form.makes_fetch:
        if not request.user.is_authenticated:
            return None
        fetcher = question(str(request.user.sub), source_address(request))
    with fetcher as allowed:
        return run(request, form, allowed)


def _given_back(form: ToolForm, answer: Answer | None) -> ToolForm:
    """Return the form as it is shown again: without what must not be, when it was not understood."""
    if answer is None or not answer.context.get("is_understood", True):
        for name in form.never_given_back:
            form.data = {**form.data, name: ""}
    return form


def _page(request: HttpRequest, tool: Tool, form: ToolForm, *, http_status: int = 200, **context: Any) -> HttpResponse:
    must_sign_in = tool.needs_account and not request.user.is_authenticated
    result = f"tools/results/{tool.name.removeprefix('tool_')}.html"
    shared = {"tools": TOOLS, "tool": tool, "form": form, "must_sign_in": must_sign_in, "result_template": result}
    return render(request, "tools/tool.html", {**shared, **context}, status=http_status)


def _ask_to_sign_in(request: HttpRequest, tool: Tool, form: ToolForm) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"errors": {"__all__": [str(_("Sign in: this tool fetches something."))]}}, status=403)
    return _shown_by_htmx(_page(request, tool, form, http_status=403, must_sign_in=True))


def _refuse(request: HttpRequest, tool: Tool, form: ToolForm, error: TooManyRequests) -> HttpResponse:
    """Answer that somebody asked too often, on the page that keeps what they typed."""
    if wants_json(request):
        response: HttpResponse = JsonResponse({"errors": {"__all__": [error.description]}}, status=error.status)
    else:
        response = _shown_by_htmx(_page(request, tool, form, http_status=error.status, refusal=error))
    response["Retry-After"] = str(error.retry_after)
    return response


def _shown_by_htmx(response: HttpResponse) -> HttpResponse:
    """Return a refusal so that portal.js lets htmx show it like an answer."""
    response["HX-Reswap"] = "outerHTML"
    return response


def wants_json(request: HttpRequest) -> bool:
    """Say whether a program asks: one that prefers JSON to a page."""
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def _errors(form: ToolForm) -> dict[str, list[str]]:
    return {name: [str(one["message"]) for one in errors] for name, errors in form.errors.get_json_data().items()}


def as_data(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON members."""
    return [asdict(finding) for finding in findings]
