"""What a client may be granted right now: the registered scopes that somebody or something entitles it to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from registry.entitlements import entitled_scopes, grant_scopes, scopes_waiting_for_approval
from registry.lifecycle import change_client
from registry.models import Entitlement


def test_a_sensitive_scope_waits_for_approval(make_client, now, django_assert_num_queries):
    client = make_client(scope="bookings.read bookings.write")
    with django_assert_num_queries(1):
        assert entitled_scopes(client, now) == {"bookings.read"}
    assert scopes_waiting_for_approval(client, now) == {"bookings.write"}
    grant_scopes(client, ["bookings.write"], Entitlement.Because.STAFF)
    assert scopes_waiting_for_approval(client, now) == frozenset()


def test_an_entitlement_beyond_the_registered_scopes_grants_nothing(make_client, now):
    client = make_client(scope="bookings.read")
    grant_scopes(client, ["bookings.write"], Entitlement.Because.STAFF)
    assert entitled_scopes(client, now) == {"bookings.read"}


@pytest.mark.parametrize(("seconds", "entitled"), [(1, True), (0, False), (-1, False)])
def test_an_entitlement_ends_to_the_second(make_client, now, seconds, entitled):
    client = make_client(scope="bookings.read bookings.write")
    Entitlement.objects.create(client=client, value="bookings.write", because="mark", expires_at=now + timedelta(seconds=seconds))
    assert ("bookings.write" in entitled_scopes(client, now)) == entitled


def test_granting_twice_is_granting_once_and_one_reason_is_enough(make_client, now):
    client = make_client(scope="bookings.write")
    for because in ("staff", "mark", "staff"):
        grant_scopes(client, ["bookings.write", "bookings.write"], because)
    assert client.entitlements.count() == 2
    client.entitlements.filter(because="staff").delete()
    assert entitled_scopes(client, now) == {"bookings.write"}


def test_a_grant_entitlement_is_no_scope(make_client, now):
    client = make_client(scope="bookings.write")
    Entitlement.objects.create(client=client, kind="grant", value="bookings.write", because="staff")
    assert entitled_scopes(client, now) == frozenset()


def test_entitlements_survive_a_suspension(make_client, cast, now):
    client = make_client(scope="bookings.write")
    grant_scopes(client, ["bookings.write"], Entitlement.Because.STAFF)
    change_client(client, "suspend", cast.as_reviewer, now=now, reason="x")
    client = change_client(client, "reinstate", cast.as_reviewer, now=now)
    assert entitled_scopes(client, now) == {"bookings.write"}
