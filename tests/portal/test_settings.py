"""A bad or unknown value in the environment stops the start with a sentence that names it (house decision 21; S06, S14)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from portal.local_keys import read_or_create

ROOT = Path(__file__).resolve().parents[2]
KEY = "k3Y-for-tests_0123456789-abcdefghijklmnopqrstuvwxyz!"
FIELD_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
AWAY = {"CREDENCE_ISSUER": "https://id.example.org", "SECRET_KEY": KEY, "FIELD_ENCRYPTION_KEYS": FIELD_KEY}

# Loads portal.settings afresh for each environment read from standard input, without paying for a process each.
LOADER = """
import importlib, json, os, sys
import portal.local_keys
from django.core.exceptions import ImproperlyConfigured
kept = dict(os.environ)
for line in sys.stdin:
    os.environ.clear(); os.environ.update(kept | json.loads(line))
    sys.modules.pop("portal.settings", None)
    try:
        module = importlib.import_module("portal.settings")
        answer = {name: getattr(module, name) for name in dir(module) if name.isupper()}
    except ImproperlyConfigured as error:
        answer = {"refused": str(error)}
    print(json.dumps(answer, default=str), flush=True)
"""


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Return a function that gives the settings, or the refusal, for an environment."""
    folder = tmp_path_factory.mktemp("data")
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
    loader = subprocess.Popen(
        [sys.executable, "-c", LOADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
        env={**clean, "CREDENCE_DATA_DIR": str(folder), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    def ask(**environment):
        loader.stdin.write(json.dumps(environment) + "\n")
        loader.stdin.flush()
        return json.loads(loader.stdout.readline())

    yield ask
    loader.stdin.close()
    loader.wait(timeout=10)
    loader.stdout.close()


REFUSED = [
    ({"CREDENCE_ISUER": "https://id.example.org"}, "CREDENCE_ISUER"),
    ({"CREDENCE_UNHEARD_OF": "1"}, "CREDENCE_UNHEARD_OF"),
    ({"PORT": "0"}, "PORT"), ({"PORT": "65536"}, "PORT"), ({"PORT": "http"}, "PORT"), ({"PORT": ""}, "PORT"), ({"PORT": "-1"}, "PORT"),
    ({"PORT": "8000.0"}, "PORT"), ({"PORT": "\u0668\u0660"}, "PORT"), ({"PORT": " 80"}, "PORT"),
    ({"CREDENCE_WEB_WORKERS": "0"}, "CREDENCE_WEB_WORKERS"), ({"CREDENCE_WEB_WORKERS": "65"}, "CREDENCE_WEB_WORKERS"),
    ({"CREDENCE_LOG_LEVEL": "LOUD"}, "CREDENCE_LOG_LEVEL"),
    *(
        ({**AWAY, "CREDENCE_ISSUER": issuer}, "CREDENCE_ISSUER")
        for issuer in (
            "http://id.example.org", "http://127.0.0.1.example.org", "http://10.0.0.1", "ftp://id.example.org", "id.example.org", "https://",
            "https:///x", "https://id.example.org/", "https://id.example.org/path", "https://id.example.org?x", "https://id.example.org#x",
            "javascript:alert(1)", "",
        )
    ),
    ({"SECRET_KEY": ""}, "SECRET_KEY"), ({"SECRET_KEY": "short"}, "SECRET_KEY"), ({"SECRET_KEY": KEY[:49]}, "SECRET_KEY"),
    ({"SECRET_KEY": "x" * 60}, "SECRET_KEY"), ({"SECRET_KEY": "changeme" * 8}, "SECRET_KEY"),
    ({name: value for name, value in AWAY.items() if name != "SECRET_KEY"}, "SECRET_KEY"),
    ({name: value for name, value in AWAY.items() if name != "FIELD_ENCRYPTION_KEYS"}, "FIELD_ENCRYPTION_KEYS"),
]  # fmt: skip


@pytest.mark.threat("S06")
@pytest.mark.parametrize(("environment", "name"), REFUSED)
def test_a_bad_value_is_refused_by_name(load, environment, name):
    answer = load(**environment)
    assert "refused" in answer
    assert name in answer["refused"]
    assert answer["refused"].endswith(".")
    assert KEY not in answer["refused"]


@pytest.mark.threat("O12", "F08")
@pytest.mark.parametrize(
    "issuer",
    [
        "https://*", "https://user@id.example.org", "https://id.example.org?", "https://id.example.org#", "https://id.example.org:99999",
        "https://id..example.org", "https://id.example.org ", "https://id.example.org\\x", "HTTPS://ID.example.org",
    ],
)  # fmt: skip
def test_an_issuer_that_parsers_read_differently_is_refused(load, issuer):
    assert "CREDENCE_ISSUER" in load(**{**AWAY, "CREDENCE_ISSUER": issuer}).get("refused", "")


@pytest.mark.parametrize("name", ["CREDENCE_TRUSTED_PROXY", "DEBUG"])
def test_a_switch_is_on_or_off_and_nothing_else(load, name):
    assert name in load(**{name: "maybe"}).get("refused", "")


def test_without_an_environment_the_server_is_on_loopback_with_keys_of_its_own(load):
    one, other = load(), load()
    assert (one["ISSUER"], one["HTTPS"], one["DEBUG"]) == ("http://127.0.0.1:8000", False, False)
    assert one["SECRET_KEY"] == other["SECRET_KEY"]
    assert len(one["SECRET_KEY"]) >= 50
    assert one["FIELD_ENCRYPTION_KEYS"] == other["FIELD_ENCRYPTION_KEYS"]
    assert one["SECRET_KEY"] not in one["FIELD_ENCRYPTION_KEYS"]
    assert one["DATABASES"]["default"]["ENGINE"].endswith("sqlite3")
    assert load(PORT="8001")["ISSUER"] == "http://127.0.0.1:8001"


@pytest.mark.threat("O12")
def test_a_server_for_others_sends_secure_cookies_and_answers_to_its_own_host(load):
    settings = load(**AWAY)
    assert settings["ALLOWED_HOSTS"] == ["id.example.org"]
    assert settings["SESSION_COOKIE_SECURE"]
    assert settings["CSRF_COOKIE_SECURE"]
    assert settings["SECURE_HSTS_SECONDS"] >= 31536000
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://id.example.org"]
    assert not settings["USE_X_FORWARDED_HOST"]
    assert not settings["DEBUG"]
    assert "SECURE_PROXY_SSL_HEADER" not in settings
    assert "SECURE_PROXY_SSL_HEADER" in load(**AWAY, CREDENCE_TRUSTED_PROXY="true")


@pytest.mark.threat("S06")
def test_old_keys_still_verify_and_decrypt(load):
    settings = load(**AWAY | {"FIELD_ENCRYPTION_KEYS": f"{FIELD_KEY},{FIELD_KEY[::-1]}", "SECRET_KEY_FALLBACKS": KEY[::-1]})
    assert settings["FIELD_ENCRYPTION_KEYS"] == [FIELD_KEY, FIELD_KEY[::-1]]
    assert settings["SECRET_KEY_FALLBACKS"] == [KEY[::-1]]


@pytest.mark.threat("S03")
@pytest.mark.parametrize("environment", [{}, {"REDIS_URL": "redis://127.0.0.1:6379/0"}])
def test_messages_are_json_only(load, environment):
    settings = load(**environment)
    assert settings["CELERY_ACCEPT_CONTENT"] == ["json"]
    assert settings["CELERY_TASK_SERIALIZER"] == settings["CELERY_RESULT_SERIALIZER"] == "json"
    assert "SESSION_SERIALIZER" not in settings or "JSON" in settings["SESSION_SERIALIZER"]


def test_every_switch_of_rfc_9700_is_on(load):
    switches = {name: value for name, value in load()["OAUTH2_PROVIDER"].items() if name.startswith("COMPLIANT_BCP_RFC9700")}
    assert len(switches) >= 10
    assert all(value is True for value in switches.values())


@pytest.mark.threat("S06", "S08")
def test_a_made_key_is_readable_by_us_alone_and_made_once(tmp_path):
    path = tmp_path / "keys" / "secret_key"
    first = read_or_create(path)
    assert read_or_create(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["secret_key"]
    assert read_or_create(tmp_path / "other") != first
