"""The tool that decodes a JWT."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from federation.core.issuing import build_jwks
from federation.decoding import DecodedToken, Verdict, decode_token
from portal.forms.tools import TokenForm
from portal.views.tools.page import Answer, as_data, tool_view
from protocol.constants import ENTITY_STATEMENT_TYPE
from protocol.errors import InvalidJwt, InvalidKeySet
from protocol.fetch import Fetcher
from protocol.jose import KeySet, generate_private_key, issue_jwt, parse_jwk_set
from registry.pasted_keys import read_pasted_keys

_VERDICTS: Final = {
    Verdict.VERIFIED: ("ok", gettext_lazy("Verified with the keys that you pasted")),
    Verdict.SELF_SIGNED: ("ok", gettext_lazy("Verified with the keys in it")),
    Verdict.WRONG: ("blocked", gettext_lazy("The signature does not verify")),
    Verdict.UNCHECKED: ("attention", gettext_lazy("Not verified")),
}
_TIME_WORDS: Final = {
    "iat": gettext_lazy("Issued"),
    "nbf": gettext_lazy("Valid from"),
    "exp": gettext_lazy("Valid until"),
    "auth_time": gettext_lazy("Signed in"),
    "updated_at": gettext_lazy("Updated"),
}


def token_context(token: DecodedToken) -> dict[str, Any]:
    """Return what templates/tools/token.html shows of a token."""
    verdict, words = _VERDICTS[token.verdict]
    return {
        "token": token,
        "verdict": verdict,
        "verdict_words": words,
        "causes": [{"sentence": token.sentence}],
        "times": [{"word": _TIME_WORDS[one.claim], "claim": one.claim, "at": one.at, "value": one.value} for one in token.times],
        "header_text": written(token.header),
        "claims_text": written(token.claims),
    }


def token_data(token: DecodedToken) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "kind": token.kind,
        "header": token.header,
        "claims": token.claims,
        "signature": token.verdict.value,
        "sentence": token.sentence,
        "times": {one.claim: one.at.isoformat() if one.at else None for one in token.times},
        "findings": as_data(token.findings),
    }


def written(value: Any) -> str:
    """Return JSON as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _decode(request: HttpRequest, form: TokenForm, fetcher: Fetcher | None) -> Answer | None:  # noqa: ARG001
    keys = _keys(form)
    if form.errors:
        return None
    try:
        token = decode_token(form.cleaned_data["token"], keys, now=int(timezone.now().timestamp()))
    except InvalidJwt as error:
        if error.reason == "private_key":
            form.forget("token")
        else:
            form.add_error("token", error.description)
        return None
    return Answer({**token_context(token), "findings": token.findings}, token_data(token))


def _keys(form: TokenForm) -> KeySet | None:
    """Return the keys that were pasted, None without any; what is wrong with them stands next to their field."""
    pasted = read_pasted_keys(form.cleaned_data["jwks"])
    if pasted.holds_private:
        form.forget("jwks")
    elif pasted.jwks is not None:
        try:
            return parse_jwk_set(pasted.jwks)
        except InvalidKeySet as error:
            form.add_error("jwks", error.description)
    for finding in pasted.findings:
        if finding.level == "error" and not pasted.holds_private:
            form.add_error("jwks", f"{finding.sentence} {finding.hint}")
    return None


def _example(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001
    key, now = generate_private_key("ES256"), int(timezone.now().timestamp())
    claims = {
        "iss": "https://app.example.org",
        "sub": "https://app.example.org",
        "iat": now,
        "exp": now + 24 * 3600,
        "jwks": build_jwks([key]),
        "authority_hints": ["https://federation.example.org"],
        "metadata": {"openid_relying_party": {"client_name": _("Example app"), "redirect_uris": ["https://app.example.org/callback"]}},
    }
    return {"token": issue_jwt(claims, replace(key), typ=ENTITY_STATEMENT_TYPE)}


decode = tool_view("tool_jwt", TokenForm, _decode, _example)
