"""Revocation: a client's own tokens, and the same answer whatever it was (RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from authserver.models import AccessToken
from registry.models import Client
from tests.authserver.support import REVOKE, Caller, key, outcome

Call = Callable[..., Any]


@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
def test_a_client_revokes_its_own_token_at_once(
    with_secret: Caller, issue: Call, call_as: Call, introspect: Call, hint: str | None
) -> None:
    token, kept = issue(with_secret), issue(with_secret)
    answer = call_as(with_secret, REVOKE, token=token, **({} if hint is None else {"token_type_hint": hint}))
    assert (answer.status_code, answer.content) == (200, b"")
    assert introspect(with_secret, token) == {"active": False}
    assert introspect(with_secret, kept)["active"]
    assert AccessToken.objects.count() == 1


def test_a_foreign_an_unknown_and_a_revoked_token_answer_alike(caller_by: Call, issue: Call, call_as: Call, introspect: Call) -> None:
    owner, other = caller_by("client_secret_basic"), caller_by("private_key_jwt", signing_key=key("ES256", 1))
    token, own = issue(owner), issue(other)
    call_as(other, REVOKE, token=own)
    digest = AccessToken.objects.get().token_checksum
    for presented in (token, own, "cat_unknown", digest, "\0", "é", "x" * 5000):
        answer = call_as(other, REVOKE, token=presented)
        assert (answer.status_code, answer.content) == (200, b""), presented
    assert introspect(owner, token)["active"]


def test_a_request_without_token_is_malformed(with_secret: Caller, call_as: Call, post_form: Call) -> None:
    assert outcome(call_as(with_secret, REVOKE, token="")) == "400 invalid_request"
    assert outcome(post_form(REVOKE, {"a": "b"}, **with_secret.credentials()[1])) == "400 invalid_request"


def test_a_suspended_client_can_still_give_up_a_token(with_secret: Caller, issue: Call, call_as: Call) -> None:
    token = issue(with_secret)
    Client.objects.filter(pk=with_secret.client.pk).update(state=Client.State.SUSPENDED)
    assert outcome(call_as(with_secret, REVOKE, token=token)) == "200"
    assert not AccessToken.objects.exists()


def test_jsonp_is_not_offered(with_secret: Caller, call_as: Call) -> None:
    answer = call_as(with_secret, REVOKE, callback="alert")
    assert (answer.status_code, answer.content) == (200, b"")
