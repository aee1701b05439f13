"""Queries compiled once return what the queryset returns."""

from __future__ import annotations

import pytest

from registry.compiled import CompiledQuery
from registry.models import Client, Organization


def test_a_compiled_query_returns_what_the_queryset_returns(make_client, cast):
    client = make_client(client_name="Back office")
    query = CompiledQuery(lambda value: Client.objects.select_related("organization").filter(client_id=value).order_by())
    for _ in range(2):
        (found,) = query.rows(client.client_id)
        for field in Client._meta.concrete_fields:
            assert getattr(found, field.attname) == getattr(Client.objects.get(pk=client.pk), field.attname)
        assert found.organization == cast.organization
        assert found.organization.legal_name == cast.organization.legal_name


def test_a_compiled_query_costs_one_query_and_no_more_for_what_it_selected(make_client, django_assert_num_queries):
    client = make_client()
    query = CompiledQuery(lambda value: Client.objects.select_related("organization").filter(client_id=value).order_by())
    with django_assert_num_queries(1):
        (found,) = query.rows(client.client_id)
        assert found.organization.state == "approved"


def test_a_change_shows_at_the_next_call(make_client, cast):
    client = make_client()
    query = CompiledQuery(lambda value: Client.objects.select_related("organization").filter(client_id=value).order_by())
    assert query.rows(client.client_id)[0].organization.state == "approved"
    Organization.objects.filter(pk=cast.organization.pk).update(state="suspended")
    assert query.rows(client.client_id)[0].organization.state == "suspended"


@pytest.mark.django_db
def test_an_unknown_value_finds_nothing_and_a_query_of_another_shape_is_refused():
    query = CompiledQuery(lambda value: Client.objects.filter(client_id=value))
    assert query.rows("nobody") == []
    with pytest.raises(ValueError, match="exactly one parameter"):
        CompiledQuery(lambda value: Client.objects.filter(client_id=value, name="x")).rows("a")
