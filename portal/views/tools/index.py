"""The list of tools."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from portal.views.tools.page import TOOLS


@require_GET
def tools(request: HttpRequest) -> HttpResponse:
    """List the tools."""
    return render(request, "tools/index.html", {"tools": TOOLS})
