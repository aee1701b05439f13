"""Node, with openid-client 6."""

from __future__ import annotations

from typing import Final

from portal.snippets.facts import AppFacts
from portal.snippets.quoting import Code, for_javascript

_CONFIGURATION: Final = Code("""\
// npm install openid-client
@{reading}import * as client from "openid-client";

@{key}const config = await client.discovery(new URL(@{issuer}), @{client_id}, undefined, @{authentication}@{options});
""")
_AUTHENTICATION: Final = {
    "client_secret_basic": "client.ClientSecretBasic(process.env.CLIENT_SECRET)",
    "client_secret_post": "client.ClientSecretPost(process.env.CLIENT_SECRET)",
    "private_key_jwt": "client.PrivateKeyJwt({ key, kid })",
    "none": "client.None()",
}
_READING: Final = """\
import { readFile } from "node:fs/promises";
"""
_KEY: Final = Code("""\
const { kid, alg, use, ...jwk } = JSON.parse(await readFile("private-key.jwk.json", "utf8"));
const key = await crypto.subtle.importKey("jwk", jwk, @{parameters}, false, ["sign"]);
""")
# What the Web Crypto API calls the algorithms of RFC 7518.
_WEB_CRYPTO: Final = {
    "ES256": '{ name: "ECDSA", namedCurve: "P-256" }',
    "ES384": '{ name: "ECDSA", namedCurve: "P-384" }',
    "ES512": '{ name: "ECDSA", namedCurve: "P-521" }',
    "EdDSA": '{ name: "Ed25519" }',
    "Ed25519": '{ name: "Ed25519" }',
    "RS256": '{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }',
    "PS256": '{ name: "RSA-PSS", hash: "SHA-256" }',
}
_OWN_TOKEN: Final = Code("""\

const tokens = await client.clientCredentialsGrant(config, { scope: @{scope} });
console.log(tokens.expires_in);
""")
_SIGN_IN: Final = Code("""\

const codeVerifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: @{redirect_uri},
  scope: @{scope},
  code_challenge: await client.calculatePKCECodeChallenge(codeVerifier),
  code_challenge_method: "S256",
  state,
  nonce,
});
console.log("Open", address.href);

// In the handler of your redirect URI, with the address that the person came back to:
export async function finish(cameBackTo) {
  return client.authorizationCodeGrant(config, new URL(cameBackTo), {
    pkceCodeVerifier: codeVerifier,
    expectedState: state,
    expectedNonce: nonce,
  });
}
""")


def own_token(facts: AppFacts) -> str:
    """Return code that gets a token of the app itself."""
    return _configuration(facts) + _OWN_TOKEN.substitute(facts.quoted(for_javascript))


def sign_in(facts: AppFacts) -> str:
    """Return code that signs a person in by code and PKCE."""
    return _configuration(facts) + _SIGN_IN.substitute(facts.quoted(for_javascript))


def _configuration(facts: AppFacts) -> str:
    has_key = facts.method == "private_key_jwt"
    parameters = _WEB_CRYPTO.get(facts.algorithm, _WEB_CRYPTO["ES256"])
    return _CONFIGURATION.substitute(
        facts.quoted(for_javascript),
        reading=_READING if has_key else "",
        key=_KEY.substitute(parameters=parameters) if has_key else "",
        authentication=_AUTHENTICATION[facts.method],
        # The library refuses plain http, which only a server on loopback speaks.
        options=", { execute: [client.allowInsecureRequests] }" if facts.issuer.startswith("http://") else "",
    )
