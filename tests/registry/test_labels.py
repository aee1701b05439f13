"""Labels of choices: in the language of whoever asks, but where something is stored or a service says it."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.utils.translation import override

from registry.actors import person
from registry.labels import in_english, within_sentence
from registry.members import accept_invitation, invite
from registry.models import AuditEvent, Membership, Organization
from tests.conftest import Cast


def test_a_label_follows_the_language_unless_it_is_asked_for_in_english() -> None:
    with override("de"):
        assert (str(Membership.Role.OWNER.label), in_english(Membership.Role.OWNER.label)) == ("Inhaber", "Owner")


def test_within_a_sentence_an_english_label_is_small_and_a_german_one_keeps_its_capital() -> None:
    for language, word in (("en", "owner"), ("de", "Inhaber")):
        with override(language):
            assert within_sentence(Membership.Role.OWNER.label) == word


def test_what_the_trail_keeps_is_english_whatever_language_the_person_reads(cast: Cast, now: datetime) -> None:
    with override("de"):
        made = invite(cast.organization, person(cast.owner), email=cast.stranger.email, role="viewer", now=now)
        accept_invitation(made.value, cast.stranger, person(cast.stranger), now=now)
    kept = [
        value for event in AuditEvent.objects.all() for change in event.difference.values() for value in change if isinstance(value, str)
    ]
    assert f"{cast.stranger.email} (Viewer)" in kept
    assert not [value for value in kept if "Leser" in value]
    with override("de"):
        assert str(Membership.objects.get(user=cast.stranger)).endswith("(Leser)")


@pytest.mark.parametrize(("state", "word"), [(Organization.State.PENDING, "waiting for approval"), (Organization.State.CLOSED, "closed")])
def test_sentences_of_services_name_the_state_in_english(state: str, word: str) -> None:
    with override("de"):
        assert Organization(state=state).state_in_english == word
