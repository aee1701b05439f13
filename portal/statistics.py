"""The numbers behind the charts of the staff pages: counted in the database by week (portal.md 4.5)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db.models import Count, F, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from dcr.models import InitialAccessToken
from portal.charts import Chart, Series, draw_columns
from protocol.jose import certificate_ends
from registry.models import Client, ClientSecret

WEEKS: Final = 12
ENDS_SOON: Final = timedelta(days=30)
# Certificates are inside the registered keys of apps: of so many apps they are read.
CERTIFICATES_READ: Final = 1000
_WAYS: Final = (
    (Client.Source.MANUAL, "blue", False),
    (Client.Source.DCR, "purple", True),
    (Client.Source.FEDERATION_AUTOMATIC, "green", False),
    (Client.Source.FEDERATION_EXPLICIT, "amber", True),
)


def monday_of(moment: datetime) -> datetime:
    """Return the beginning of a moment's week, in UTC."""
    day = moment.astimezone(UTC).date()
    return datetime.combine(day - timedelta(days=day.weekday()), time(), UTC)


def chart_registrations(now: datetime) -> Chart:
    """Return what registered in the last twelve weeks, this one included, by way. One query."""
    weeks = [monday_of(now) + timedelta(weeks=number - WEEKS + 1) for number in range(WEEKS)]
    recent = Client.objects.filter(created__gte=weeks[0], created__lt=weeks[-1] + timedelta(weeks=1)).order_by()
    counted = recent.values_list("source").annotate(**_counts("created", weeks))
    found = {source: tuple(counts) for source, *counts in counted}
    series = [Series(str(way.label), tone, found.get(way.value, (0,) * WEEKS), hollow) for way, tone, hollow in _WAYS]
    total = sum(one.total for one in series)
    words = _("%(count)s apps registered in the last twelve weeks. The table below has every number.") % {"count": total}
    return draw_columns("registrations", _("Registrations by way and week"), words, [_week_name(week) for week in weeks], series)


def chart_endings(now: datetime) -> Chart:
    """Return what ends in the next twelve weeks, this one included. Four queries."""
    weeks = [monday_of(now) + timedelta(weeks=number) for number in range(WEEKS)]
    series = [
        Series(_("Secrets"), "blue", _in_weeks(_live_secrets(), "expires_at", now, weeks)),
        Series(_("Initial access tokens"), "purple", _in_weeks(_live_tokens(), "expires_at", now, weeks), hollow=True),
        Series(_("Trust chains"), "green", _in_weeks(_live_chains(), "trust_expires_at", now, weeks)),
        Series(_("Certificates"), "amber", _certificates(now, weeks), hollow=True),
    ]
    total = sum(one.total for one in series)
    words = _("%(count)s credentials and trust chains end in the next twelve weeks. The table below has every number.") % {"count": total}
    return draw_columns("endings", _("What ends ahead"), words, [_week_name(week) for week in weeks], series)


def count_endings(now: datetime) -> dict[str, int]:
    """Return how many secrets, initial access tokens and stale trust chains end within 30 days. Three queries.

    Chains that are not stale are renewed by themselves long before.
    """
    end = now + ENDS_SOON
    return {
        "secrets": _near(_live_secrets(), "expires_at", now, end).count(),
        "tokens": _near(_live_tokens(), "expires_at", now, end).count(),
        "chains": _near(_live_chains(), "trust_expires_at", now, end).filter(trust=Client.Trust.STALE).count(),
    }


def _near(rows: QuerySet[Any], name: str, now: datetime, end: datetime) -> QuerySet[Any]:
    return rows.filter(**{f"{name}__gt": now, f"{name}__lt": end}).order_by()


def _counts(name: str, weeks: list[datetime]) -> dict[str, Count]:
    """Return one count for each week: cheaper than cutting every moment to its week, for which SQLite has to ask Python."""
    within = ({f"{name}__gte": week, f"{name}__lt": week + timedelta(weeks=1)} for week in weeks)
    return {f"week_{number}": Count("pk", filter=Q(**limits)) for number, limits in enumerate(within)}


def _in_weeks(rows: QuerySet[Any], name: str, now: datetime, weeks: list[datetime]) -> tuple[int, ...]:
    found = _near(rows, name, now, weeks[-1] + timedelta(weeks=1)).aggregate(**_counts(name, weeks))
    return tuple(found[f"week_{number}"] for number in range(len(weeks)))


def _live_secrets() -> QuerySet[Any]:
    return ClientSecret.objects.exclude(client__state=Client.State.CLOSED)


def _live_tokens() -> QuerySet[Any]:
    return InitialAccessToken.objects.filter(revoked_at=None, uses__lt=F("uses_limit"))


def _live_chains() -> QuerySet[Any]:
    return Client.objects.filter(trust__in=(Client.Trust.VALID, Client.Trust.STALE)).exclude(state=Client.State.CLOSED)


def _certificates(now: datetime, weeks: list[datetime]) -> tuple[int, ...]:
    """Return how many certificates of registered keys end: what a database cannot read out of a certificate is read here."""
    carries = Client.objects.exclude(state=Client.State.CLOSED).annotate(text=Cast("metadata", TextField())).filter(text__contains='"x5c"')
    found = dict.fromkeys(weeks, 0)
    for metadata in carries.order_by("pk").values_list("metadata", flat=True)[:CERTIFICATES_READ]:
        for _name, seconds in certificate_ends(metadata.get("jwks")):
            moment = datetime.fromtimestamp(seconds, UTC)
            if moment > now and (week := monday_of(moment)) in found:
                found[week] += 1
    return tuple(found.values())


def _week_name(week: date) -> str:
    return f"{week.day} {week:%b}"
