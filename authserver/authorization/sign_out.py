"""Checking the request of an app that signs a person out (OpenID Connect RP-Initiated Logout 1.0, 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from authserver.authorization.people import audience_of_hint, may_be_sent_to, subject_of_hint
from authserver.client_authentication import load_client
from protocol.errors import InvalidRequest
from registry.gate import Action, client_may_act
from registry.models import Client, User


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """A checked request: where to go afterwards, if anywhere, and whose session the app means, if it proved that."""

    client: Client | None
    return_to: str
    subject: str | None


def read_logout_request(raw: Mapping[str, str], user: User | None, *, now: datetime) -> LogoutRequest:
    """Check the parameters. A redirect needs a known client that may act, and a registered URI. Raises InvalidRequest.

    A hint that cannot be verified, for example because its key is long gone, proves nothing; then the person is asked.
    """
    hint = raw.get("id_token_hint", "")
    client_id = raw.get("client_id", "") or (audience_of_hint(hint) if hint else "")
    client = load_client(client_id) if client_id else None
    if client is None and raw.get("client_id"):
        raise InvalidRequest("No app with this client_id is registered here.", members=("client_id",))
    wanted = raw.get("post_logout_redirect_uri", "")
    if wanted and (client is None or wanted not in client.metadata.get("post_logout_redirect_uris", [])):
        raise InvalidRequest("post_logout_redirect_uri is not registered for this app.", members=("post_logout_redirect_uri",))
    if client is None:
        return LogoutRequest(None, "", None)
    if not client_may_act(client, Action.AUTHORIZE, now).allowed or not may_be_sent_to(client, user):
        wanted = ""
    query = f"{'&' if '?' in wanted else '?'}{urlencode({'state': raw['state']})}" if wanted and "state" in raw else ""
    return LogoutRequest(client, wanted + query, _proven_subject(hint, client, now))


def _proven_subject(hint: str, client: Client, now: datetime) -> str | None:
    try:
        return subject_of_hint(hint, client, now=now) if hint else None
    except InvalidRequest:
        return None
