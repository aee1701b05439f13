"""The charts of the staff pages: drawn without styles and scripts, and the same numbers beside them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from portal.charts import Series, draw_columns, nice_top
from portal.statistics import WEEKS, chart_endings, chart_registrations, count_endings, monday_of
from protocol.jose import certificate_ends
from registry.actors import person
from registry.models import Client
from tests.conftest import Cast
from tests.protocol.jose.key_support import certificate, jwk_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday


def draw(*values: tuple[int, ...]) -> Any:
    series = [Series(f"Way {number}", "blue", one) for number, one in enumerate(values)]
    return draw_columns("name", "Title", "Words.", [f"W{number}" for number in range(len(values[0]))], series)


def test_the_top_of_a_scale_is_even_and_no_lower_than_the_highest_value() -> None:
    assert [nice_top(value) for value in (0, 1, 2, 3, 5, 11, 21, 99, 101, 5000)] == [2, 2, 2, 4, 10, 20, 40, 100, 200, 10_000]


def test_pieces_of_a_column_stand_on_each_other_and_reach_as_high_as_their_sum() -> None:
    chart = draw((5, 0), (5, 10))
    first, second, alone = chart.bars
    assert float(second.y) + float(second.height) == pytest.approx(float(first.y))
    assert float(second.y) == float(alone.y)
    assert [bar.title for bar in chart.bars] == ["W0, Way 0: 5", "W0, Way 1: 5", "W1, Way 1: 10"]
    assert [(row.label, row.values, row.total) for row in chart.rows] == [("W0", (5, 5), 10), ("W1", (0, 10), 10)]


def test_nothing_is_drawn_beyond_the_picture() -> None:
    for chart in (draw((0,) * 12), draw((10**9,) * 12, (1,) * 12), draw((1,))):
        for bar in chart.bars:
            assert float(bar.x.rstrip("%")) + float(bar.width.rstrip("%")) <= 100
            assert float(bar.y) >= 0
            assert float(bar.y) + float(bar.height) <= chart.height


def test_a_series_of_another_length_or_below_nothing_is_refused() -> None:
    for values in ((1,), (1, -1)):
        with pytest.raises(ValueError, match="every series"):
            draw_columns("name", "Title", "Words.", ["a", "b"], [Series("x", "blue", values)])


def register_at(make_client: Callable[..., Client], moment: datetime, source: str = "manual", **values: Any) -> Client:
    client = make_client()
    Client.objects.filter(pk=client.pk).update(created=moment, source=source, **values)
    return client


def test_registrations_are_counted_by_way_and_week(make_client: Callable[..., Client]) -> None:
    monday = monday_of(NOW)
    assert monday == datetime(2026, 11, 23, tzinfo=UTC)
    for moment in (monday, monday - timedelta(seconds=1), NOW, NOW):
        register_at(make_client, moment)
    register_at(make_client, NOW, "dcr", state="closed")
    register_at(make_client, monday - timedelta(weeks=WEEKS - 1) - timedelta(seconds=1))
    chart = chart_registrations(NOW)
    by_hand, dynamic, *_ = chart.series
    assert (by_hand.values[-2:], dynamic.values[-1], chart.total) == ((1, 3), 1, 5)
    assert len(chart.rows) == WEEKS
    assert chart.rows[-1].label == "23 Nov"


def test_what_ends_ahead_is_counted_by_kind_and_week(cast: Cast, make_client: Callable[..., Client]) -> None:
    for days in (1, 8, 90):
        make_client().secrets.create(digest="d", tail="t", expires_at=NOW + timedelta(days=days))
    closed = register_at(make_client, NOW, state="closed")
    closed.secrets.create(digest="d", tail="t", expires_at=NOW + timedelta(days=1))
    terms = TokenTerms(label="Installer", expires_at=NOW + timedelta(days=15))
    create_initial_access_token(cast.organization, person(cast.owner), terms, now=NOW)
    register_at(make_client, NOW, "federation_automatic", trust="valid", trust_expires_at=NOW + timedelta(days=2))
    register_at(make_client, NOW, "federation_automatic", trust="broken", trust_expires_at=NOW + timedelta(days=2))
    secrets, tokens, chains, certificates = chart_endings(NOW).series
    assert secrets.values[:3] == (1, 1, 0)
    assert secrets.total == 2
    assert tokens.values[:3] == (0, 0, 1)
    assert chains.values[0] == chains.total == 1
    assert certificates.total == 0


def test_certificates_of_registered_keys_are_among_what_ends(make_client: Callable[..., Client]) -> None:
    key = jwk_of("ES256", 0, x5c=[certificate(0, days=400)])
    client = make_client(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key]})
    ((_, seconds),) = certificate_ends(client.metadata["jwks"])
    end = datetime.fromtimestamp(seconds, UTC)
    assert chart_endings(end - timedelta(days=10)).series[3].total == 1
    assert chart_endings(end + timedelta(days=1)).series[3].total == 0


def test_the_page_draws_valid_pictures_that_say_what_they_show(as_reviewer: Browser, make_client: Callable[..., Client]) -> None:
    make_client()
    text = as_reviewer.get(reverse("staff:charts")).content.decode()
    assert text.count('<figure class="chart">') == 2
    for picture in text.split('<figure class="chart">')[1:]:
        svg = ElementTree.fromstring(picture[: picture.index("</svg>") + 6])  # noqa: S314 - our own page
        names = {child.tag.rpartition("}")[2] for child in svg}
        assert {"title", "desc", "line", "text"} <= names
        assert not [element for element in svg.iter() if "style" in element.attrib]
    assert text.count("<summary>The numbers</summary>") == 2


def test_the_page_takes_the_same_queries_for_much_as_for_little(
    as_reviewer: Browser, make_client: Callable[..., Client], now: datetime
) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            as_reviewer.get(reverse("staff:charts"))
        return len(queries)

    make_client()
    little = count()
    for _ in range(6):
        make_client().secrets.create(digest="d", tail="t", expires_at=now + timedelta(days=3))
    assert count() == little


def test_the_index_counts_what_ends_within_thirty_days(make_client: Callable[..., Client]) -> None:
    for days in (3, 29, 31, -1):
        make_client().secrets.create(digest="d", tail="t", expires_at=NOW + timedelta(days=days))
    register_at(make_client, NOW, "federation_automatic", trust="stale", trust_expires_at=NOW + timedelta(days=2))
    register_at(make_client, NOW, "federation_automatic", trust="valid", trust_expires_at=NOW + timedelta(days=2))
    assert count_endings(NOW) == {"secrets": 2, "tokens": 0, "chains": 1}
