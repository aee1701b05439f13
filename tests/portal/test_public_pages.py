"""Pages without sign-in: the error catalogue and the probes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.migrations.executor import MigrationExecutor
from django.test import Client as Browser
from django.urls import reverse
from pytest_django.asserts import assertContains

import dcr
from portal.admin.presentation import EVENT_WORDS
from portal.documentation.errors import ADVICE, catalogue_entries
from portal.views.timeline import _SENTENCES
from registry.transitions import CHANGE_REQUEST, CLIENT, ORGANIZATION, TRUST

# Codes of findings about the terms of a token, which look like events.
FINDINGS = {f"token.{name}" for name in ("label", "uses", "expires", "stage", "restriction", "scope", "limit", "network")}


def test_every_wire_code_has_an_anchor_a_meaning_and_advice() -> None:
    codes = [entry.code for entry in catalogue_entries()]
    assert set(codes) == set(ADVICE)
    response = Browser().get(reverse("docs_errors"))
    for code in codes:
        assertContains(response, f'id="{code}"')
        assert all(str(words) for words in ADVICE[code])


def test_every_transition_has_a_sentence_in_the_timeline() -> None:
    assert {step.event for table in (ORGANIZATION, CLIENT, CHANGE_REQUEST, TRUST) for step in table.values()} <= set(_SENTENCES)


def test_every_event_of_registration_tokens_has_a_sentence_for_partners_and_words_for_staff() -> None:
    rooms = (Path(dcr.__file__).parent / name for name in ("initial_access_tokens.py", "registration_access_tokens.py"))
    events = {event for room in rooms for event in re.findall(r'"((?:registration_)?token\.[a-z]+)"', room.read_text())} - FINDINGS
    assert {"token.created", "registration_token.reset"} <= events
    assert events <= set(_SENTENCES)
    assert events <= set(EVENT_WORDS)


@pytest.mark.django_db
def test_the_probes_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser()
    assert browser.get(reverse("healthz")).json() == {"status": "ok"}
    ready = browser.get(reverse("readyz"))
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": "ok", "migrations": "ok", "scheduler": "never ran"})
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: ["one"])
    assert browser.get(reverse("readyz")).status_code == 503

    def away(*_: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(MigrationExecutor, "migration_plan", away)
    assert browser.get(reverse("readyz")).json()["checks"]["database"] == "unreachable"


def test_the_process_probe_needs_no_database() -> None:
    assert Browser().get(reverse("healthz")).status_code == 200
