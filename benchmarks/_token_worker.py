"""One side of benchmarks/token_requests.py: asks for tokens. Run by token_requests.py, not by hand."""

from __future__ import annotations

import base64
import sys
import time
import uuid
from typing import Any
from urllib.parse import urlencode

from benchmarks._rounds import Maker, Request, answer_rounds, environ

BODY = b"grant_type=client_credentials&scope=bookings.read"


def token_request(body: bytes, authorization: str = "") -> Request:
    """Return one request to the token endpoint."""
    return environ("/oauth/token", body, "application/x-www-form-urlencoded", authorization)


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
    return lambda count: [token_request(BODY, basic(application.client_id, secret)) for _ in range(count)]


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
        return lambda count: [token_request(signed_body(client.client_id, key)) for _ in range(count)]
    secret = create_secret(client, COMMAND_LINE, now=now).value
    return lambda count: [token_request(BODY, basic(client.client_id, secret)) for _ in range(count)]


def signed_body(client_id: str, key: Any) -> bytes:
    """Return a body with a client assertion."""
    from django.conf import settings

    from protocol.constants import CLIENT_ASSERTION_TYPE
    from protocol.jose import issue_jwt

    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": settings.ISSUER, "iat": now, "exp": now + 290, "jti": uuid.uuid4().hex}
    assertion = {"client_assertion_type": CLIENT_ASSERTION_TYPE, "client_assertion": issue_jwt(claims, key, typ="JWT")}
    return BODY + b"&" + urlencode(assertion).encode()


if __name__ == "__main__":
    side = sys.argv[1]
    answer_rounds(side, stock_maker if side == "stock" else lambda: our_maker(side), int(sys.argv[2]), status="200 OK")
