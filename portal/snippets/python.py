"""Python, with requests and Authlib."""

from __future__ import annotations

from typing import Final

from portal.snippets.facts import AppFacts
from portal.snippets.quoting import Code, for_python

_OWN_TOKEN: Final = Code("""\
# pip install requests
import os

import requests

answer = requests.post(
    @{token_endpoint},
@{authentication}\
    timeout=10,
)
answer.raise_for_status()
print(answer.json()["expires_in"])
""")
_OWN_TOKEN_BY: Final = {
    "client_secret_basic": Code("""\
    auth=(@{client_id}, os.environ["CLIENT_SECRET"]),
    data={"grant_type": "client_credentials", "scope": @{scope}},
"""),
    "client_secret_post": Code("""\
    data={
        "grant_type": "client_credentials",
        "scope": @{scope},
        "client_id": @{client_id},
        "client_secret": os.environ["CLIENT_SECRET"],
    },
"""),
    "private_key_jwt": Code("""\
    data={
        "grant_type": "client_credentials",
        "scope": @{scope},
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": os.environ["CLIENT_ASSERTION"],
    },
"""),
}
_SIGN_IN: Final = Code("""\
# pip install authlib requests
@{imports}
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
@{preparation}
app = OAuth2Session(
    @{client_id},
@{credential}\
    scope=@{scope},
    redirect_uri=@{redirect_uri},
    code_challenge_method="S256",
    token_endpoint=@{token_endpoint},
)
@{registration}\
code_verifier = generate_token(48)
address, state = app.create_authorization_url(@{authorization_endpoint}, code_verifier=code_verifier, nonce=generate_token(24))
print("Open", address)
came_back_to = input("Where did you come back to? ")
tokens = app.fetch_token(authorization_response=came_back_to, state=state, code_verifier=code_verifier)
print(sorted(tokens))
""")
_ASSERTION: Final = """\
from authlib.oauth2.rfc7523 import PrivateKeyJWT


class FreshAssertion(PrivateKeyJWT):
    def sign(self, auth, token_endpoint):
        self.claims = {"exp": int(time.time()) + 60}  # at most five minutes, and a new jti each time
        return super().sign(auth, token_endpoint)

"""
_REGISTRATION: Final = Code("""\
app.register_client_auth_method(FreshAssertion(@{issuer}, headers={"kid": @{key_id}}, alg=@{algorithm}))
""")
_SECRET: Final = """\
    os.environ["CLIENT_SECRET"],
    token_endpoint_auth_method="{method}",
"""
_KEY: Final = """\
    pathlib.Path("private-key.pem").read_text(),
    token_endpoint_auth_method="private_key_jwt",
"""
_PUBLIC: Final = """\
    token_endpoint_auth_method="none",
"""


def own_token(facts: AppFacts) -> str:
    """Return code that gets a token of the app itself."""
    quoted = facts.quoted(for_python)
    body = _OWN_TOKEN_BY[facts.method].substitute(quoted)
    return _OWN_TOKEN.substitute(quoted, authentication=body)


def sign_in(facts: AppFacts) -> str:
    """Return code that signs a person in by code and PKCE."""
    quoted = facts.quoted(for_python)
    if facts.method == "private_key_jwt":
        pieces = {"imports": "import pathlib\nimport time\n", "preparation": _ASSERTION, "credential": _KEY}
        return _SIGN_IN.substitute(quoted, **pieces, registration=_REGISTRATION.substitute(quoted))
    if facts.method == "none":
        return _SIGN_IN.substitute(quoted, imports="", preparation="", credential=_PUBLIC, registration="")
    secret = _SECRET.format(method=facts.method)
    return _SIGN_IN.substitute(quoted, imports="import os\n", preparation="", credential=secret, registration="")
