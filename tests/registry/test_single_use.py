"""Values that count once: by purpose and issuer, in the database, between any number of threads (J16, J17)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from hypothesis import example, given
from hypothesis import strategies as st

from registry.models import SingleUseValue
from registry.single_use import purge_expired, use_once
from registry.tasks import purge_single_use_values
from tests.registry.threads import together


@pytest.fixture
def until(now):
    return now + timedelta(minutes=5)


@pytest.mark.spec("PKJ-06", "JAR-09")
@pytest.mark.threat("J16")
def test_a_value_counts_once_in_one_statement(db, until, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert use_once("assertion", "client", "jti", expires_at=until) is True
    with django_assert_num_queries(1):
        assert use_once("assertion", "client", "jti", expires_at=until) is False


@pytest.mark.spec("PKJ-06")
@pytest.mark.threat("J16", "J17")
def test_the_same_value_counts_once_for_each_purpose_and_issuer(db, until):
    triples = [
        ("assertion", "a", "x"),
        ("assertion", "b", "x"),
        ("request object", "a", "x"),
        ("assertion", "a", "X"),
        ("assertion", "a", "x "),
        ("", "", ""),
    ]
    for _ in range(2):
        outcomes = [use_once(*triple, expires_at=until) for triple in triples]
        triples = triples[::-1]
    assert outcomes == [False] * len(triples)
    assert SingleUseValue.objects.count() == len(triples)


_parts = st.text(st.sampled_from("ab\0:1\ud800é"), max_size=4)
_triples = st.tuples(_parts, _parts, _parts)


@pytest.mark.threat("J17")
@example(("a:b", "c", ""), ("a", "b:c", ""))
@example(("a\0b", "c", ""), ("a", "b\0c", ""))
@example(("ab", "c", ""), ("a", "bc", ""))
@example(("a1:b", "", ""), ("a", "b", ""))
@given(_triples, _triples)
def test_no_two_triples_share_a_row(one, other):
    rows = []

    class Cursor:
        rowcount = 1

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def execute(self, _, parameters):
            rows.append(parameters[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "cursor", Cursor)
        for triple in (one, other):
            use_once(*triple, expires_at=None)
    assert (rows[0] == rows[1]) == (one == other)


@pytest.mark.threat("J17")
def test_a_different_expiry_does_not_make_it_another_value(db, until):
    assert use_once("assertion", "client", "jti", expires_at=until)
    assert not use_once("assertion", "client", "jti", expires_at=until + timedelta(days=1))


@pytest.mark.spec("PKJ-06")
@pytest.mark.threat("J16")
def test_values_are_kept_until_they_could_no_longer_be_presented(db, until):
    use_once("assertion", "client", "jti", expires_at=until)
    for moment in (until - timedelta(seconds=1), until):
        assert purge_expired(moment) == 0
        assert not use_once("assertion", "client", "jti", expires_at=until)
    assert purge_expired(until + timedelta(microseconds=1)) == 1
    assert not SingleUseValue.objects.exists()


def test_the_periodic_purge_takes_what_is_over_and_no_more(db, now):
    use_once("a", "b", "old", expires_at=now - timedelta(hours=1))
    use_once("a", "b", "new", expires_at=now + timedelta(hours=1))
    assert purge_single_use_values() == 1
    assert purge_single_use_values() == 0


@pytest.mark.spec("PKJ-06")
@pytest.mark.threat("J16")
def test_without_the_database_nothing_counts_as_new(db, until, monkeypatch):
    def away(*_):
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", away)
        with pytest.raises(DatabaseError):
            use_once("assertion", "client", "jti", expires_at=until)


@pytest.mark.spec("PKJ-06", "JAR-09")
@pytest.mark.threat("J16")
@pytest.mark.django_db(transaction=True)
def test_of_fifty_threads_with_one_value_exactly_one_succeeds(until):
    outcomes = together(50, lambda _: use_once("assertion", "client", "jti", expires_at=until))
    assert sorted(map(str, outcomes)) == ["False"] * 49 + ["True"]


@pytest.mark.threat("J16")
@pytest.mark.django_db(transaction=True)
def test_threads_with_different_values_do_not_hinder_each_other(until):
    outcomes = together(20, lambda number: use_once("assertion", "client", f"jti {number // 2}", expires_at=until))
    assert sorted(map(str, outcomes)) == ["False"] * 10 + ["True"] * 10
