"""Migrations that move rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.authserver.support import Caller
from tests.conftest import Cast

BEFORE, AFTER = ("authserver", "0002_initial"), ("authserver", "0003_requests_consents_and_families")


@pytest.fixture
def latest_afterwards(transactional_db: None) -> Iterator[None]:
    """Leave the tables as the models want them."""
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_every_code_from_before_there_were_families_gets_one_of_its_own(
    latest_afterwards: None, cast: Cast, with_secret: Caller, now: datetime
) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([BEFORE])
    codes = executor.loader.project_state([BEFORE]).apps.get_model("authserver", "Grant").objects
    common = {"application_id": with_secret.client.pk, "user_id": cast.owner.pk, "credential_generation": 1, "expires": now}
    for name in ("one", "two", "three"):
        codes.create(code=name, redirect_uri="https://app.example/cb", **common)
    executor = MigrationExecutor(connection)
    executor.migrate([AFTER])
    kept = executor.loader.project_state([AFTER]).apps.get_model("authserver", "Grant").objects
    families = list(kept.values_list("family", flat=True))
    assert len(families) == len(set(families)) == 3
    assert None not in families
    assert set(kept.values_list("acr", "amr", "used_at")) == {("", "", None)}
