"""Listeners hear of a transition after commit, and never of one that was rolled back."""

from __future__ import annotations

import pytest
from django.db import transaction

from registry.lifecycle import change_client, register_client
from registry.models import AuditEvent
from registry.signals import transition_committed
from tests.registry.support import machine


@pytest.fixture
def heard():
    events = []

    def listen(sender, event, subject, **_):
        # A row that another transaction can see by now.
        assert AuditEvent.objects.filter(pk=event.pk).exists()
        events.append((sender.__name__, event.event, subject.pk))

    transition_committed.connect(listen)
    yield events
    transition_committed.disconnect(listen)


def test_a_transition_is_told_after_commit_and_not_before(cast, now, heard, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        client = register_client(cast.as_owner, cast.organization, machine(), now=now)
        change_client(client, "pause", cast.as_owner, now=now)
        assert heard == []
    assert heard == [("Client", "client.registered", client.pk), ("Client", "client.suspended", client.pk)]


@pytest.mark.threat("S09")
def test_a_rollback_leaves_neither_a_row_nor_a_word(cast, now, heard, django_capture_on_commit_callbacks):
    before = AuditEvent.objects.count()
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        register_client(cast.as_owner, cast.organization, machine(), now=now)
        transaction.set_rollback(True)
    assert heard == []
    assert AuditEvent.objects.count() == before


def test_a_listener_that_fails_does_not_fail_the_transition(cast, now, django_capture_on_commit_callbacks):
    def fail(**_):
        raise RuntimeError

    transition_committed.connect(fail)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            client = register_client(cast.as_owner, cast.organization, machine(), now=now)
    finally:
        transition_committed.disconnect(fail)
    assert client.state == "active"
