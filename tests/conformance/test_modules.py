"""The table of modules is whole: each has a test that names it, or a reason, and no test mirrors what is not in the table."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.test import Client as Browser

from tests.conformance.modules import PLANS, REMARKS, Plan
from tests.conformance.steps import OPENID


def named_in(test: Callable[..., Any]) -> set[str]:
    """Return the modules that a test says it mirrors: in its docstring, or in the names of its cases."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    cases = [case for mark in marks for case in mark.args[1]]
    return {*(test.__doc__ or "").split(), *(str(getattr(case, "id", case)) for case in cases)}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_every_module_has_a_test_or_a_reason(plan: Plan) -> None:
    file = import_module(f"tests.{plan.file}")
    assert len(plan.modules) == plan.count
    for module, entry in plan.modules.items():
        if isinstance(entry, str):
            assert entry.endswith("."), module
            assert " " in entry, module
        else:
            assert entry, module
            assert all(module in named_in(getattr(file, name)) for name in entry), module


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_every_test_mirrors_a_module(plan: Plan) -> None:
    file = import_module(f"tests.{plan.file}")
    listed = {name for entry in plan.modules.values() if not isinstance(entry, str) for name in entry}
    assert listed == {name for name in vars(file) if name.startswith("test_")}


def test_remarks_are_about_modules_that_are_tested() -> None:
    modules = {module: entry for plan in PLANS.values() for module, entry in plan.modules.items()}
    assert all(isinstance(modules[module], tuple) for module in REMARKS)


def test_what_the_suite_skips_is_not_offered(server_keys: None, standard_scopes: None) -> None:
    document = Browser(SERVER_NAME="127.0.0.1").get(OPENID).json()
    assert not {"address", "phone"} & set(document["scopes_supported"])
    assert "none" not in document["id_token_signing_alg_values_supported"]
    assert "none" not in document["request_object_signing_alg_values_supported"]
    assert document["request_uri_parameter_supported"] is False
    assert not [name for name in document if "encryption" in name]
    absent = {"dpop_signing_alg_values_supported", "tls_client_certificate_bound_access_tokens"}
    assert not absent & document.keys()
