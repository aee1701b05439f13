"""Fixtures of the pages: browsers that are signed in, and forms as a browser would send them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from registry.actors import person
from registry.lifecycle import create_organization
from registry.models import AppDraft, Client, Organization, User
from tests.conftest import Cast


@pytest.fixture
def sign_in(cast: Cast) -> Callable[..., Browser]:
    """Return a function that gives a browser signed in as somebody of the cast, by name."""

    def make(who: str | User, **options: Any) -> Browser:
        browser = Browser(**options)
        browser.force_login(getattr(cast, who) if isinstance(who, str) else who)
        return browser

    return make


@pytest.fixture
def owner(sign_in: Callable[..., Browser]) -> Browser:
    """A browser of the owner."""
    return sign_in("owner")


@pytest.fixture
def developer(sign_in: Callable[..., Browser]) -> Browser:
    """A browser of the developer."""
    return sign_in("developer")


@pytest.fixture
def viewer(sign_in: Callable[..., Browser]) -> Browser:
    """A browser of the viewer."""
    return sign_in("viewer")


@pytest.fixture
def foreign(cast: Cast, now: datetime) -> Organization:
    """An organization that only the stranger owns."""
    return create_organization(person(cast.stranger), "Tidewater Insurance", now=now, owner=cast.stranger, country="SE")


@pytest.fixture
def app_url(cast: Cast) -> Callable[..., str]:
    """Return a function that gives the address of a page about an app."""

    def make(name: str, client: Client, *more: Any) -> str:
        return reverse(name, args=[cast.organization.slug, client.reference, *more])

    return make


class FormReader(HTMLParser):
    """Reads the forms of a page with their fields, as a browser without scripts would."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self._select = self._textarea = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a browser would send."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({"action": given.get("action", ""), "method": given.get("method", "get"), "data": {}})
            return
        if not self.forms:
            return
        data = self.forms[-1]["data"]
        name = given.get("name", "")
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind in ("checkbox", "radio"):
                if "checked" in given:
                    data.setdefault(name, []).append(given.get("value", "on"))
            else:
                data.setdefault(name, []).append(given.get("value", ""))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in given or self._select not in data):
            data[self._select] = [given.get("value", "")]
        elif tag == "textarea":
            self._textarea = name
            data[name] = [""]

    def handle_data(self, data: str) -> None:
        """Collect the text of a text area."""
        if self._textarea:
            self.forms[-1]["data"][self._textarea][0] += data

    def handle_endtag(self, tag: str) -> None:
        """Leave a field."""
        if tag == "textarea":
            # A browser drops the line break that Django writes after the start tag.
            data = self.forms[-1]["data"]
            data[self._textarea][0] = data[self._textarea][0].removeprefix("\r\n").removeprefix("\n")
            self._textarea = ""
        elif tag == "select":
            self._select = ""


@pytest.fixture
def form_on() -> Callable[..., dict[str, Any]]:
    """Return a function that gives the fields of the form on a page which has the field `having`."""

    def read(response: Any, having: str) -> dict[str, Any]:
        forms = FormReader(response.content.decode()).forms
        return next(form["data"] for form in forms if having in form["data"])

    return read


@pytest.fixture
def fill(form_on: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """Return a function that opens a page, changes fields of its form and posts it, as a person does."""

    def post(browser: Browser, url: str, having: str, *, follow: bool = True, to: str = "", **values: Any) -> Any:
        data = form_on(browser.get(url), having)
        return browser.post(to or url, {**data, **values}, follow=follow)

    return post


@pytest.fixture
def register_app(cast: Cast) -> Callable[..., Any]:
    """Return a function that registers an app step by step, and gives the first page that finds fault or the answer to registering.

    Whatever is in `values` is sent at every step, whether it has such a field or not; drafts from before are discarded.
    """

    def walk(browser: Browser, *, kind: str = "machine", **values: Any) -> Any:
        AppDraft.objects.all().delete()
        start = reverse("app_new", args=[cast.organization.slug])
        form = browser.get(start).context["form"]
        answer = browser.post(start, {**values, "kind": kind, "way": "manual", "once": form["once"].value()})
        while not answer["Location"].endswith("/review/"):
            step = answer["Location"]
            form = browser.get(step).context["form"]
            given = {name: form[name].value() or "" for name in form.fields}
            answer = browser.post(step, {**given, "scope": [], **values})
            if answer.status_code != 302:
                return answer
        return browser.post(answer["Location"], values)

    return walk
