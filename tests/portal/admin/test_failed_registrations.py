"""The page of registrations that failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token, note_refusal
from dcr.models import InitialAccessToken
from federation.core.resolution import TITLES, StepNumber
from federation.lookups import look_up
from federation.models import EntityLookup
from portal.failed_registrations import FEDERATION, Question, read_question
from protocol.errors import AccessDenied, InvalidClientMetadata, InvalidRedirectUri
from registry.actors import person
from tests.conftest import Cast

PAGE = "staff:failed_registrations"
ENTITY = "https://rp.example"


@pytest.fixture
def token(cast: Cast, now: datetime) -> InitialAccessToken:
    """An initial access token."""
    terms = TokenTerms(label="Installer", expires_at=now + timedelta(days=1))
    return create_initial_access_token(cast.organization, person(cast.owner), terms, now=now).row


def refuse(token: InitialAccessToken, now: datetime, sentence: str = "No such host.", request_id: str = "r-1") -> None:
    note_refusal(token, InvalidRedirectUri(sentence), "203.0.113.7", request_id, now=now)


def fail(entity_id: str, now: datetime, step: StepNumber = StepNumber.FETCH_STATEMENT, **told: Any) -> EntityLookup:
    kept = {
        "step": step.value,
        "title": TITLES[step],
        "sentence": "It is no member.",
        "fixer": "the federation operator",
        "code": "not_found",
    }
    return EntityLookup.objects.create(entity_id=entity_id, host="rp.example", started_at=now, misses=1, failure={**kept, **told})


def shown(browser: Browser, **question: Any) -> list[str]:
    response = browser.get(reverse(PAGE), question)
    assert response.status_code == 200
    return [item.who for item in response.context["items"]]


def test_what_was_refused_is_shown_newest_first_with_who_why_the_step_and_who_can_fix_it(
    as_reviewer: Browser, token: InitialAccessToken, now: datetime
) -> None:
    refuse(token, now - timedelta(minutes=5))
    fail(ENTITY, now, request_id="r-2")
    assert shown(as_reviewer) == [ENTITY, str(token)]
    text = as_reviewer.get(reverse(PAGE)).content.decode()
    for words in ("5 Fetch the subordinate statement", "the federation operator", "not_found", "r-2", "It is no member."):
        assert words in text
    for words in ("Lighthouse Travel", "invalid_redirect_uri", "No such host.", "the partner", "r-1"):
        assert words in text


def test_filters_narrow_the_list(as_reviewer: Browser, token: InitialAccessToken, now: datetime) -> None:
    refuse(token, now)
    fail(ENTITY, now)
    fail("https://other.example", now - timedelta(minutes=1), StepNumber.CONSTRAINTS)
    assert shown(as_reviewer, way="dynamic") == [str(token)]
    assert shown(as_reviewer, way=FEDERATION) == [ENTITY, "https://other.example"]
    assert shown(as_reviewer, step=8) == ["https://other.example"]
    assert shown(as_reviewer, way="dynamic", step=8) == []
    for words in ("r-1", "lighthouse", "invalid_redirect_uri", "installer"):
        assert shown(as_reviewer, q=words) == [str(token)], words
    assert shown(as_reviewer, q="other.example") == ["https://other.example"]


WRONG: list[dict[str, str]] = [
    {"way": "x"},
    {"step": "99"},
    {"step": "²"},
    {"step": "9" * 5000},
    {"q": "\x00"},
    {"page": "x"},
    {"q": "%" * 9000},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_filter_that_makes_no_sense_is_no_error(
    as_reviewer: Browser, token: InitialAccessToken, now: datetime, wrong: dict[str, str]
) -> None:
    refuse(token, now)
    assert as_reviewer.get(reverse(PAGE), wrong).status_code == 200


def test_what_is_asked_is_read_with_its_limits() -> None:
    assert read_question({"way": "dynamic", "step": "13", "q": " x\x00 "}) == Question("dynamic", 13, "x")
    assert read_question({"step": "0", "q": "y" * 999}) == Question("", None, "y" * 200)


def test_a_page_has_25_rows_and_takes_the_same_queries_for_many_as_for_few(
    as_reviewer: Browser, token: InitialAccessToken, now: datetime
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            as_reviewer.get(reverse(PAGE))
        return len(queries)

    refuse(token, now)
    fail(ENTITY, now)
    little = count()
    for number in range(30):
        refuse(token, now - timedelta(seconds=number))
        fail(f"https://rp{number}.example", now - timedelta(seconds=number))
    assert count() == little
    assert len(shown(as_reviewer)) == 25
    assert len(shown(as_reviewer, page=3)) == 62 - 50


def test_what_strangers_wrote_is_shown_as_text(as_reviewer: Browser, token: InitialAccessToken, now: datetime) -> None:
    refuse(token, now, "<img src=x onerror=alert(1)>", "<script>alert(2)</script>")
    fail("https://rp.example/<img src=x>", now, sentence="<img src=x onerror=alert(3)>", title="<img src=x>", code="<img src=x>")
    text = as_reviewer.get(reverse(PAGE)).content.decode()
    assert "<img src=x" not in text
    assert "<script>alert" not in text


def test_a_failure_of_an_unexpected_shape_is_shown_as_far_as_it_goes(as_reviewer: Browser, now: datetime) -> None:
    EntityLookup.objects.create(entity_id=ENTITY, host="rp.example", started_at=now, failure={"step": "soon"})
    assert shown(as_reviewer) == [ENTITY]


@pytest.mark.threat("F14")
def test_a_refused_explicit_registration_is_shown_and_not_held_against_the_entity(db: None, now: datetime) -> None:
    for error, step, fixer in (
        (InvalidClientMetadata("The keys are weak."), 11, "the partner"),
        (AccessDenied("It belongs to nobody."), None, "our staff"),
    ):

        def refused(reason: Exception = error) -> None:
            raise reason

        with pytest.raises(type(error)):
            look_up(ENTITY, lambda: None, refused, source="", now=now, remembers=False)
        row = EntityLookup.objects.get()
        assert (row.failure["sentence"], row.failure.get("step"), row.failure["fixer"]) == (error.description, step, fixer)
        assert (row.misses, row.refused_until, row.lease) == (0, None, "")


@pytest.mark.threat("F14")
def test_what_is_held_against_an_entity_is_not_overwritten_by_what_was_sent_in_its_name(db: None, now: datetime) -> None:
    row = fail(ENTITY, now)
    EntityLookup.objects.update(refused_until=now + timedelta(minutes=1))

    def refused() -> None:
        raise InvalidClientMetadata("Somebody sent nonsense.")

    with pytest.raises(InvalidClientMetadata):
        look_up(ENTITY, lambda: None, refused, source="", now=now, remembers=False)
    assert EntityLookup.objects.get().failure == row.failure
