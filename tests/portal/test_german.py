"""The German catalogue: complete as far as it goes, and safe to fill in (portal.md 5.14)."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client as Browser

CATALOGUE = Path(settings.BASE_DIR) / "locale" / "de" / "LC_MESSAGES" / "django.mo"
PLACEHOLDERS = re.compile(r"%\([a-z_]+\)[sd]|%[sd]|\{[a-z_0-9]*\}")


def sentences() -> dict[str, str]:
    with CATALOGUE.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {english: german for english, german in catalogue.items() if isinstance(english, str) and english}


def test_every_german_sentence_has_the_placeholders_of_the_english_one() -> None:
    found = sentences()
    assert len(found) > 2000
    for english, german in found.items():
        assert sorted(PLACEHOLDERS.findall(english)) == sorted(PLACEHOLDERS.findall(german)), english


@pytest.mark.django_db
def test_a_browser_that_asks_for_german_reads_german() -> None:
    page = Browser(headers={"accept-language": "de"}).get("/accounts/login/").content.decode()
    assert '<html lang="de"' in page
    assert "Anmelden" in page
    assert "Sign in" not in page
