"""What exchanging a code and refreshing cost in process: SQL statements and processor time, ours against stock django-oauth-toolkit.

    benchmarks/code_flow.py [--rounds N] [--database-url postgres://...] [--check]

Each side is a process of its own, through its whole WSGI application; rounds alternate, so that a busy machine disturbs both alike. Stock
runs without OpenID Connect; ours is measured without and with an ID token (ES256). `--check` exits with 1 when ours needs as many
statements as stock, or more processor time than LIMIT times stock without an ID token.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import secrets
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from benchmarks._side_by_side import measure_in_turns

SIDES = {"stock": "stock", "ours": "ours", "openid": "ours, with ID token ES256"}
STEPS = ("exchange", "refresh")
FLOWS_PER_ROUND = 30
LIMIT = 1.1
CALLBACK = "https://app.example.org/cb"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SECRET = "s" * 43
Measured = dict[str, list[float]]  # processor seconds and statements, by step


def report(results: dict[str, list[Measured]]) -> dict[tuple[str, str], tuple[float, float]]:
    """Print a table and return statements and processor time as a multiple of stock, by side and step."""
    summary = {}
    print(f"{'':<10}{'side':<30}{'statements':>12}{'CPU ms':>9}{'x stock':>9}")
    for step in STEPS:
        for side, rounds in results.items():
            spent, statements = (statistics.median(one[step][column] for one in rounds) for column in (0, 1))
            # Round by round, so that what slows the machine down for a while cancels out.
            pairs = zip(rounds, results.get("stock", rounds), strict=True)
            ratio = statistics.median(one[step][0] / other[step][0] for one, other in pairs)
            summary[side, step] = statements, ratio
            print(f"{step:<10}{SIDES[side]:<30}{statements:>12.0f}{spent * 1000:>9.2f}{ratio:>9.2f}")
    return summary


def check(summary: dict[tuple[str, str], tuple[float, float]]) -> None:
    """Exit with 1 when ours costs more than it may."""
    for step in STEPS:
        limit, _ = summary["stock", step]
        for side in ("ours", "openid"):
            statements, ratio = summary[side, step]
            if statements >= limit:
                sys.exit(f"{SIDES[side]}: {step} needs {statements:.0f} statements, stock {limit:.0f}.")
            if side == "ours" and ratio > LIMIT:
                sys.exit(f"{SIDES[side]}: {step} takes {ratio:.2f} times the processor time of stock; the limit is {LIMIT}.")


# --- in the process of a side

Post = Callable[[dict[str, str]], dict[str, Any]]


def poster(client_id: str) -> Post:
    """Return what posts a form to the token endpoint as the client and returns the answer."""
    from django.core.wsgi import get_wsgi_application

    application: Any = get_wsgi_application()
    authorization = "Basic " + base64.b64encode(f"{client_id}:{SECRET_OF[0]}".encode()).decode()

    def post(form: dict[str, str]) -> dict[str, Any]:
        body = urlencode(form).encode()
        statuses: list[str] = []
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/oauth/token", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1",
            "HTTP_ACCEPT": "application/json", "HTTP_AUTHORIZATION": authorization, "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)), "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
        }  # fmt: skip
        response = application(environ, lambda status, _: statuses.append(status))
        content = b"".join(response)
        response.close()
        if statuses != ["200 OK"]:
            sys.exit(f"{statuses} {content!r}")
        return dict(json.loads(content))

    return post


SECRET_OF = [SECRET]


def set_up_stock() -> tuple[str, Callable[[], str]]:
    """Set up stock django-oauth-toolkit; return the client and what makes codes."""
    from django.contrib.auth import get_user_model
    from django.utils import timezone
    from oauth2_provider.models import Application, Grant

    user = get_user_model().objects.create_user("benchmark")
    application = Application.objects.create(
        client_id="benchmark",
        client_secret=SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris=CALLBACK,
    )

    def new_code() -> str:
        code = secrets.token_urlsafe(32)
        expires = timezone.now() + timedelta(minutes=1)
        bound = {"redirect_uri": CALLBACK, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        Grant.objects.create(user=user, application=application, code=code, expires=expires, scope="bookings.read", **bound)
        return code

    return application.client_id, new_code


def set_up_ours(scope: str) -> tuple[str, Callable[[], str]]:
    """Set up an app of ours; return the client and what makes codes."""
    from django.utils import timezone

    from authserver.authorization.authentication import SignedIn
    from authserver.authorization.codes import issue_code
    from authserver.authorization.parameters import AuthorizationParameters
    from authserver.authorization.requests import Proven, keep_request
    from authserver.consents import remember_consent
    from registry.actors import COMMAND_LINE
    from registry.credentials import create_secret
    from registry.lifecycle import register_client
    from registry.models import Scope, User
    from registry.resource_servers import get_operator_organization
    from registry.signing_keys import ensure_signing_keys

    now = timezone.now()
    ensure_signing_keys(COMMAND_LINE, now=now)
    Scope.objects.get_or_create(name="bookings.read", defaults={"title": "See your bookings"})
    document = {
        "client_name": "Benchmark",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [CALLBACK],
        "scope": scope,
        "token_endpoint_auth_method": "client_secret_basic",
        "id_token_signed_response_alg": "ES256",
    }
    client = register_client(COMMAND_LINE, get_operator_organization(COMMAND_LINE, now=now), document, now=now)
    SECRET_OF[0] = create_secret(client, COMMAND_LINE, now=now).value
    user = User.objects.create_user("person@example.org", name="Person")
    parameters = AuthorizationParameters(client.client_id, CALLBACK, tuple(scope.split()), CHALLENGE)
    remember_consent(user, client, scope.split(), COMMAND_LINE, now=now)

    def new_code() -> str:
        row = keep_request(Proven(client, parameters, "parameters", signed=False), now=timezone.now())
        return issue_code(row, parameters, SignedIn(user, now.timestamp()), now=timezone.now())

    return client.client_id, new_code


def count_statements(work: Callable[[], Any]) -> int:
    """Return how many statements `work` needs, those of transactions included."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


def run_worker(side: str) -> None:
    """Answer rounds until standard input ends."""
    import django
    from django.core.management import call_command

    warnings.simplefilter("ignore")  # there are no static files here
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    scope = "openid offline_access" if side == "openid" else "bookings.read"
    client_id, new_code = set_up_stock() if side == "stock" else set_up_ours(scope)
    post = poster(client_id)

    def exchange(code: str) -> str:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return str(post(form)["refresh_token"])

    def refresh(token: str) -> str:
        return str(post({"grant_type": "refresh_token", "refresh_token": token})["refresh_token"])

    for _ in range(10):
        refresh(exchange(new_code()))
    statements = statements_of(exchange, refresh, new_code)
    print("ready", flush=True)
    for _ in sys.stdin:
        values, measured = [new_code() for _ in range(FLOWS_PER_ROUND)], {}
        for step, work in zip(STEPS, (exchange, refresh), strict=True):
            started = time.process_time()
            values = [work(value) for value in values]
            measured[step] = [(time.process_time() - started) / FLOWS_PER_ROUND, statements[step]]
        print(json.dumps(measured), flush=True)


def statements_of(exchange: Callable[[str], str], refresh: Callable[[str], str], new_code: Callable[[], str]) -> dict[str, int]:
    """Return the statements of each step."""
    code, tokens = new_code(), []
    exchanging = count_statements(lambda: tokens.append(exchange(code)))
    return {"exchange": exchanging, "refresh": count_statements(lambda: refresh(tokens[0]))}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--database-url", default="", help="databases with _stock, _ours and _openid at the end")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--worker", choices=list(SIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        run_worker(options.worker)
        return
    command = lambda side: [__file__, "--worker", side]  # noqa: E731
    summary = report(measure_in_turns(SIDES, options.rounds, command=command, database_url=options.database_url))
    if options.check:
        check(summary)


if __name__ == "__main__":
    main()
