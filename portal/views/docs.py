"""The documentation pages and the search over them."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.documentation.pages import BY_NAME, PAGES, page_context
from portal.documentation.search import QUERY_LIMIT, search
from portal.views.common import paginate

__all__ = ["docs", "docs_page"]


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """List the pages, or what a search finds on them."""
    query = request.GET.get("q", "").strip()[:QUERY_LIMIT]
    found = search(query) if query else []
    context = {"pages": PAGES, "query": query, "page": paginate(request, found), "count": len(found)}
    return render(request, "docs/index.html", context)


@require_safe
def docs_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one page. Raises Http404 when there is none of that name."""
    page = BY_NAME.get(name)
    if page is None:
        raise Http404
    return render(request, "docs/page.html", {"pages": PAGES, "shown": page, **page_context()})
