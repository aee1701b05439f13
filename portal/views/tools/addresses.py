"""The tool about redirect URIs."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from portal.forms.tools import RedirectUrisForm
from portal.views.tools.page import Answer, as_data, tool_view
from protocol.fetch import Fetcher
from registry.policies import get_policy
from registry.redirect_review import review_redirect_lines

_EXAMPLE = """https://app.example.org/callback
https://app.example.org/callback/
http://127.0.0.1:8000/callback
http://app.example.org/callback
https://app.example.org/*
com.example.app:/callback
"""


def _check(request: HttpRequest, form: RedirectUrisForm, fetcher: Fetcher | None) -> Answer:  # noqa: ARG001
    given = form.cleaned_data
    rules = get_policy(form.judged_for)
    review = review_redirect_lines(given["redirect_uris"], rules, application_type=given["application_type"], stage=given["stage"])
    refused = sum(line.is_refused for line in review.lines)
    lines: list[dict[str, Any]] = [
        {"line": line.number, "uri": line.uri, "refused": line.is_refused, "findings": as_data(line.findings)} for line in review.lines
    ]
    context = {
        "review": review,
        "refused": refused,
        "stage": given["stage"],
        "type": given["application_type"],
        "organization": form.judged_for,
    }
    return Answer(context, {"lines": lines, "findings": as_data(review.findings)})


check_redirect_uris = tool_view("tool_redirect_uris", RedirectUrisForm, _check, lambda _: {"redirect_uris": _EXAMPLE})
