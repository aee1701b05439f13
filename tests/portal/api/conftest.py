"""Apps with a token for the API, of a partner and of the operator."""

from __future__ import annotations

from datetime import datetime

import pytest

from registry.actors import COMMAND_LINE, job, person
from registry.lifecycle import create_organization, register_client
from registry.models import Organization
from registry.resource_servers import get_operator_organization
from tests.conftest import Cast
from tests.portal.api.support import Machine, make_machine


@pytest.fixture
def own(cast: Cast, now: datetime) -> Machine:
    """An app of the cast's organization with the scope registry."""
    return make_machine(cast.organization, "registry", now)


@pytest.fixture
def admin(cast: Cast, now: datetime) -> Machine:
    """An app of the operator with the scope registry.admin."""
    return make_machine(get_operator_organization(COMMAND_LINE, now=now), "registry.admin", now, name="Desk")


@pytest.fixture
def foreign(cast: Cast, now: datetime) -> Organization:
    """An organization that the stranger owns, with an app."""
    organization = create_organization(person(cast.stranger), "Tidewater Insurance", now=now, owner=cast.stranger, country="SE")
    register_client(job("test"), organization, {"client_name": "Claims", "grant_types": ["client_credentials"]}, now=now)
    return organization
