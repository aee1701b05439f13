"""What the pages of an organization have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from portal.access import permissions
from protocol.errors import TransitionRefused
from registry.models import Organization

PER_PAGE: Final = 25


def page(
    request: HttpRequest, template: str, organization: Organization, nav: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Answer with a page of `organization`; `nav` is the entry of the left column it stands under."""
    return render(request, template, {"organization": organization, "nav": nav, **permissions(request), **context}, status=status)


def paginate(request: HttpRequest, rows: QuerySet[Any] | Sequence[Any]) -> Page:
    """Return the page of `rows` that the address asks for, or the nearest there is."""
    return Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))


@contextmanager
def refusals_denied() -> Iterator[None]:
    """Turn a refusal for want of a role into the page that says so; other refusals go on."""
    try:
        yield
    except TransitionRefused as refused:
        if refused.reason == "permission":
            raise PermissionDenied(refused.description) from None
        raise


def do_and_return(request: HttpRequest, service: Callable[[], Any], *, done: str, to: str) -> HttpResponse:
    """Call a service, say how it went, and go to the address `to`."""
    try:
        with refusals_denied():
            service()
    except TransitionRefused as refused:
        messages.error(request, refused.description)
    else:
        messages.success(request, done)
    return redirect(to)
