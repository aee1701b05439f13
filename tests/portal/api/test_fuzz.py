"""Thousands of requests made from the OpenAPI document: no fault of ours, and no answer but those that it describes.

`make test-services` sends FUZZ_EXAMPLES (2,000) of them, `make fuzz-api` more.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from dcr.initial_access_tokens import TokenTerms, create_initial_access_token
from portal.wsgi import application
from registry.actors import job
from registry.credentials import create_secret
from registry.lifecycle import register_client, request_go_live
from registry.models import Client, Organization
from tests.conftest import Cast
from tests.portal.api.support import Machine

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2000"))
# What an answer is held to; the others ask for things that are tested one by one, such as which bodies are refused.
HELD_TO = [
    CHECKS.get_one("not_a_server_error"),
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

pytestmark = [
    pytest.mark.services,
    pytest.mark.threat("J12", "R09"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:schemathesis"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:jsonschema"),
]


@contextmanager
def on_one_connection() -> Iterator[None]:
    """Keep requests from closing the connection that the test's transaction is on, as Django's own test client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


@pytest.fixture
def known(cast: Cast, foreign: Organization, now: datetime) -> dict[str, list[Any]]:
    """What paths can name: objects of two organizations in many states, and nothing."""
    organizations = [cast.organization, foreign]
    changes, secrets = [], []
    for source in Client.Source.values:
        document = {"client_name": source, "grant_types": ["client_credentials"]}
        client = register_client(job("test"), cast.organization, document, now=now, source=source)
        secrets.append(create_secret(client, job("test"), now=now).row.pk)
        changes.append(request_go_live(client, cast.as_owner, now=now).reference)
    terms = TokenTerms(label="Fleet", expires_at=now + timedelta(days=1))
    live = {"client_name": "Live", "redirect_uris": ["https://app.lighthouse.example/cb"]}
    register_client(job("test"), cast.organization, live, now=now, stage=Client.Stage.LIVE)
    return {
        "slug": [row.slug for row in organizations],
        "reference": [str(one) for one in (*Client.objects.values_list("reference", flat=True), *changes)],
        "secret": secrets,
        "token": [str(create_initial_access_token(cast.organization, cast.as_owner, terms, now=now).row.reference)],
    }


@pytest.mark.parametrize("who", ["own", "admin"])
def test_no_request_of_the_document_brings_out_a_fault(
    who: str, own: Machine, admin: Machine, known: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.api.throttling.REQUESTS_PER_CLIENT", 10**9)
    headers = {"own": own, "admin": admin}[who].headers
    answered: Counter[int] = Counter()
    with on_one_connection():
        schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
        operations = [result.ok() for result in schema.get_all_operations()]
        each = EXAMPLES // (2 * len(operations)) + 1
        for operation in operations:
            _fuzz(operation, headers, known, each, answered)
    assert sum(answered.values()) >= EXAMPLES // 2
    # Otherwise the requests would not reach what they are made for.
    assert min(answered[status] for status in (200, 201, 400, 404)) > 0, answered


def _fuzz(operation: Any, headers: dict[str, str], known: dict[str, list[Any]], examples: int, answered: Counter[int]) -> None:
    """Send `examples` requests of an operation, most of them about something that is there; each leaves nothing behind."""
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, data=st.data())
    def send(case: Any, data: st.DataObject) -> None:
        if data.draw(st.integers(0, 9)):
            case.path_parameters = {name: data.draw(st.sampled_from(known[name])) for name in case.path_parameters or {}}
        with transaction.atomic():
            response = case.call(headers=headers)
            transaction.set_rollback(True)
        answered[response.status_code] += 1
        if response.status_code != 405:  # a generated path can be that of another resource
            case.validate_response(response, checks=HELD_TO)

    send()
