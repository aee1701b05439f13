"""Tools about keys: checking a key set, and turning PEM into JWKs."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from portal.forms.tools import KeysForm, PemForm
from portal.views.tools.page import Answer, as_data, tool_view
from protocol.fetch import Fetcher
from protocol.jose import PublicKey, generate_private_key
from registry.findings import Finding
from registry.pasted_keys import KeyReview, read_pasted_keys, read_pasted_pem, review_keys
from registry.remote_documents import fetch_key_document


def _check(request: HttpRequest, form: KeysForm, fetcher: Fetcher | None) -> Answer | None:  # noqa: ARG001
    now = timezone.now()
    if fetcher is None:
        pasted = read_pasted_keys(form.cleaned_data["jwks"])
        if pasted.holds_private:
            form.forget("jwks")
            return None
        return _answer(pasted.jwks, pasted.findings, int(now.timestamp()))
    found = fetch_key_document(form.cleaned_data["jwks_uri"], fetcher)
    facts = {"media_type": found.answer.media_type, "size": len(found.answer.body)} if found.answer else {}
    return _answer(found.jwks, found.findings, int(now.timestamp()), fetched=found.answer is not None, address=found, **facts)


def _answer(jwks: Any, findings: tuple[Finding, ...], now: int, **facts: Any) -> Answer:
    review = review_keys(jwks, now=now) if jwks is not None else KeyReview(())
    found = (*findings, *review.findings)
    context = {"findings": found, "keys": review.keys, "is_usable": bool(review.keys), **facts}
    data: dict[str, Any] = {name: facts[name] for name in ("media_type", "size") if name in facts}
    return Answer(context, {"usable": bool(review.keys), "findings": as_data(found), "keys": [_key(key) for key in review.keys], **data})


def _key(key: PublicKey) -> dict[str, Any]:
    members = ("kid", "kty", "crv", "bits", "use", "alg", "thumbprint")
    return {name: getattr(key, name) for name in members}


def _convert(request: HttpRequest, form: PemForm, fetcher: Fetcher | None) -> Answer | None:  # noqa: ARG001
    now = int(timezone.now().timestamp())
    pasted = read_pasted_pem(form.cleaned_data["pem"], now=now)
    if pasted.holds_private:
        form.forget("pem")
        return None
    answer = _answer(pasted.jwks, pasted.findings, now)
    written = json.dumps(pasted.jwks, indent=2) if pasted.jwks else ""
    return Answer({**answer.context, "written": written, "is_understood": bool(written)}, {**answer.data, "jwks": pasted.jwks})


def _example_keys(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    keys = [dict(generate_private_key(name).public_jwk()) for name in ("ES256", "Ed25519")]
    del keys[1]["use"]
    return {"jwks": json.dumps({"keys": keys}, indent=2)}


_EXAMPLE_PEM = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END PUBLIC KEY-----
"""

check_keys = tool_view("tool_keys", KeysForm, _check, _example_keys)
convert_pem = tool_view("tool_pem", PemForm, _convert, lambda _: {"pem": _EXAMPLE_PEM})
