"""One side of benchmarks/token_requests.py: sets a project up, then measures a round for each line on its standard input.

Each round prints the processor seconds and the wall seconds of one token request. Run by token_requests.py, not by hand.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import time
import uuid
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import django
from django.core.management import call_command

BODY = b"grant_type=client_credentials&scope=bookings.read"
Request = dict[str, Any]
Maker = Callable[[int], list[Request]]


def environ(body: bytes, authorization: str = "") -> Request:
    """Return a WSGI environment as a server makes one, with what a proxy adds."""
    request = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/oauth/token",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_ACCEPT": "application/json",
        "HTTP_ACCEPT_ENCODING": "gzip",
        "HTTP_USER_AGENT": "benchmark",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    return {**request, "HTTP_AUTHORIZATION": authorization} if authorization else request


def basic(client_id: str, secret: str) -> str:
    """Return a Basic Authorization header."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def stock_maker() -> Maker:
    """Set up stock django-oauth-toolkit; return what makes requests by secret."""
    from oauth2_provider.models import Application

    secret = "s" * 43
    application = Application.objects.create(
        client_id="benchmark", client_secret=secret, client_type="confidential", authorization_grant_type="client-credentials"
    )
    return lambda count: [environ(BODY, basic(application.client_id, secret)) for _ in range(count)]


def our_maker(method: str) -> Maker:
    """Set up a client of ours for `method`; return what makes its requests."""
    from django.utils import timezone

    from protocol.jose import generate_private_key
    from registry.actors import COMMAND_LINE
    from registry.credentials import create_secret
    from registry.lifecycle import register_client
    from registry.models import Scope
    from registry.resource_servers import get_operator_organization

    now, key = timezone.now(), generate_private_key("ES256")
    Scope.objects.get_or_create(name="bookings.read", defaults={"title": "See your bookings"})
    keys = {"jwks": {"keys": [key.public_jwk()]}} if method == "private_key_jwt" else {}
    document = {"client_name": "Benchmark", "grant_types": ["client_credentials"], "scope": "bookings.read"}
    document |= {"token_endpoint_auth_method": method, **keys}
    client = register_client(COMMAND_LINE, get_operator_organization(COMMAND_LINE, now=now), document, now=now)
    if method == "private_key_jwt":
        return lambda count: [environ(signed_body(client.client_id, key)) for _ in range(count)]
    secret = create_secret(client, COMMAND_LINE, now=now).value
    return lambda count: [environ(BODY, basic(client.client_id, secret)) for _ in range(count)]


def signed_body(client_id: str, key: Any) -> bytes:
    """Return a body with a client assertion."""
    from django.conf import settings

    from protocol.constants import CLIENT_ASSERTION_TYPE
    from protocol.jose import issue_jwt

    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": settings.ISSUER, "iat": now, "exp": now + 290, "jti": uuid.uuid4().hex}
    assertion = {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": issue_jwt(claims, key, typ="JWT")}
    return BODY + b"&" + urlencode(assertion).encode()


def main() -> None:
    """Answer rounds until standard input ends."""
    side, per_round = sys.argv[1], int(sys.argv[2])
    warnings.simplefilter("ignore")  # there are no static files here
    django.setup()
    from django.core.wsgi import get_wsgi_application

    call_command("migrate", interactive=False, verbosity=0)
    application = get_wsgi_application()
    statuses: list[str] = []

    def serve(request: Request) -> None:
        response = application(request, lambda status, headers: statuses.append(status))
        b"".join(response)
        response.close()

    requests = stock_maker() if side == "stock" else our_maker(side)
    for request in requests(30):
        serve(request)
    print("ready", flush=True)
    for _ in sys.stdin:
        batch = requests(per_round)
        serve(batch[0])
        statuses.clear()
        processor, wall = time.process_time(), time.perf_counter()
        for request in batch[1:]:
            serve(request)
        spent = [(time.process_time() - processor) / (per_round - 1), (time.perf_counter() - wall) / (per_round - 1)]
        if set(statuses) != {"200 OK"}:
            sys.exit(f"{side}: {set(statuses)}")
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
