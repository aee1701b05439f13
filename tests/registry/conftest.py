"""Hypothesis without deadlines: the first example pays for imports and keys, and machines that run tests are busy."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("registry", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
settings.load_profile("registry")
