"""The German catalogue: complete, compiled, and safe to fill in (portal.md 5.14, 6.11)."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client as Browser
from django.utils.translation import trans_real
from django.utils.translation.template import templatize

ROOT = Path(settings.BASE_DIR)
SOURCE = ROOT / "locale" / "de" / "LC_MESSAGES" / "django.po"
CATALOGUE = SOURCE.with_suffix(".mo")
PACKAGES = ("portal", "authserver", "dcr", "federation", "registry")
PLACEHOLDERS = re.compile(r"%\([a-z_]+\)[sd]|%[sd]|\{[a-z_0-9]*\}")
# What marks a string: by how many strings it is given, and whether the first is the context.
MARKERS = {"gettext": (1, False), "ngettext": (2, False), "pgettext": (2, True), "npgettext": (3, True)}
LITERAL = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
CALL_IN_TEMPLATE = re.compile(rf"\b(?P<marker>n?p?gettext|_)\((?P<strings>u?(?:{LITERAL})(?:,\s*u?(?:{LITERAL}))*)", re.DOTALL)


def sentences() -> dict[str, str]:
    with CATALOGUE.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {english: german for english, german in catalogue.items() if isinstance(english, str) and english}


def key_of(marker: str, strings: list[str]) -> str:
    """Return under which key a catalogue has what a call marks."""
    _, has_context = MARKERS[marker]
    return f"{strings[0]}\x04{strings[1]}" if has_context else strings[0]


def marked_in_python(source: str) -> Iterator[str]:
    """Yield every string that the lines of a module mark, whatever the functions are called there."""
    tree = ast.parse(source)
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation":
            for name in node.names:
                marker = name.name.removesuffix("_lazy").removesuffix("_noop")
                if marker in MARKERS:
                    known[name.asname or name.name] = marker
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
            marker = known[node.func.id]
            strings = [given.value for given in node.args if isinstance(given, ast.Constant) and isinstance(given.value, str)]
            if len(strings) >= MARKERS[marker][0]:
                yield key_of(marker, strings)


def marked_in_template(source: str) -> Iterator[str]:
    """Yield every string that a template marks, as Django's own extraction sees them."""
    for found in CALL_IN_TEMPLATE.finditer(templatize(source)):
        strings = [ast.literal_eval(one) for one in re.findall(rf"u?(?:{LITERAL})", found["strings"], re.DOTALL)]
        yield key_of("gettext" if found["marker"] == "_" else found["marker"], strings)


def marked() -> Iterator[tuple[str, str]]:
    """Yield every marked string of the product with the file that it stands in."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from ((text, str(path.relative_to(ROOT))) for text in marked_in_python(path.read_text()))
    for folder in (ROOT / "templates", *(ROOT / package for package in PACKAGES)):
        for path in sorted(folder.rglob("*.html")) + sorted(folder.rglob("*.txt")):
            yield from ((text, str(path.relative_to(ROOT))) for text in marked_in_template(path.read_text()))


def test_every_marked_string_has_its_german() -> None:
    catalogue = trans_real.translation("de")._catalog  # type: ignore[attr-defined] # with what Django and its apps bring along
    found = list(marked())
    assert len(found) > 2500
    missing = {text: place for text, place in found if text not in catalogue and (text, 0) not in catalogue}
    assert missing == {}, "add their German to locale/de/LC_MESSAGES/django.po and compile it"


def test_the_search_for_marked_strings_finds_each_way_of_marking() -> None:
    python = """
from django.utils.translation import gettext as _, gettext_lazy, ngettext, pgettext as say
_("one " "two"); gettext_lazy("three"); ngettext("%(n)s four", "%(n)s fours", 4) % {}; say("there", "five"); _(variable); other("six")
"""
    assert sorted(marked_in_python(python)) == ["%(n)s four", "one two", "there\x04five", "three"]
    template = """{% load i18n %}{% translate "one" %}{% translate 'two' as x %}{% translate "three" context "there" %}
{{ x|default:_("four") }}{% blocktranslate with a=b %}it's {{ a }}{% endblocktranslate %}
{% blocktranslate count n=n %}{{ n }} app{% plural %}{{ n }} apps{% endblocktranslate %}
{% comment %}{% translate "none" %}{% endcomment %}"""
    assert sorted(marked_in_template(template)) == ["%(n)s app", "four", "it's %(a)s", "one", "there\x04three", "two"]


def entries_of_the_source() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the key and the members of every entry of the catalogue's source."""
    for block in SOURCE.read_text().split("\n\n"):
        members: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if found := re.fullmatch(r'(?:(msg\w+(?:\[\d\])?) )?(".*")', line):
                name = found[1] or name  # a string goes on with the line after it
                members[name] = members.get(name, "") + ast.literal_eval(found[2])
        if members.get("msgid"):
            yield (f"{members['msgctxt']}\x04" if "msgctxt" in members else "") + members["msgid"], members


def test_the_compiled_catalogue_says_what_its_source_says() -> None:
    with CATALOGUE.open("rb") as file:
        compiled = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    expected: dict[str | tuple[str, int], str] = {}
    for key, members in entries_of_the_source():
        plural = {(key, form): members[f"msgstr[{form}]"] for form in (0, 1) if f"msgstr[{form}]" in members}
        expected |= plural or {key: members["msgstr"]}
        assert all(plural.values() if plural else (members["msgstr"],)), f"{key!r} has no German"
    assert {key: german for key, german in compiled.items() if key} == expected


def test_every_german_sentence_has_the_placeholders_of_the_english_one() -> None:
    found = sentences()
    assert len(found) > 2000
    for english, german in found.items():
        assert sorted(PLACEHOLDERS.findall(english)) == sorted(PLACEHOLDERS.findall(german)), english


# One word for one thing: what came in twice when several people translated.
TERMS = (
    (r"\b(?:[Dd]ie|[Kk]eine|[Ee]ine|[Dd]er|[Ee]iner) Trust Mark\b(?!s)", "das Trust Mark"),
    (r"Aussteller", "Issuer"),
    (r"Entitätskennung", "Entity Identifier"),
    (r"Schlüsselsatz", "Schlüsselmenge"),
)


@pytest.mark.parametrize(("wrong", "right"), TERMS, ids=[right for _, right in TERMS])
def test_german_has_one_word_for_one_thing(wrong: str, right: str) -> None:
    assert [german for german in sentences().values() if re.search(wrong, german)] == [], f"write {right}"


@pytest.mark.django_db
def test_a_browser_that_asks_for_german_reads_german() -> None:
    page = Browser(headers={"accept-language": "de"}).get("/accounts/login/").content.decode()
    assert '<html lang="de"' in page
    assert "Anmelden" in page
    assert "Sign in" not in page
