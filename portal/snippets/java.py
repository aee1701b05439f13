"""Java, with the Nimbus OAuth 2.0 SDK."""

from __future__ import annotations

from typing import Final

from portal.snippets.facts import AppFacts
from portal.snippets.quoting import Code, for_java

_PROGRAM: Final = Code("""\
// com.nimbusds:oauth2-oidc-sdk
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.oauth2.sdk.*;
import com.nimbusds.oauth2.sdk.auth.*;
import com.nimbusds.oauth2.sdk.id.*;
import com.nimbusds.oauth2.sdk.pkce.*;
import com.nimbusds.openid.connect.sdk.*;
import com.nimbusds.openid.connect.sdk.op.OIDCProviderMetadata;
import java.net.URI;
import java.nio.file.*;
import java.util.Scanner;

public class App {
    public static void main(String[] arguments) throws Exception {
        OIDCProviderMetadata server = OIDCProviderMetadata.resolve(new Issuer(@{issuer}));
        ClientID clientId = new ClientID(@{client_id});
        Scope scope = Scope.parse(@{scope});
@{authentication}@{body}\
        TokenResponse response = OIDCTokenResponseParser.parse(request.toHTTPRequest().send());
        if (!response.indicatesSuccess()) {
            throw new IllegalStateException(response.toErrorResponse().getErrorObject().getDescription());
        }
        System.out.println(response.toSuccessResponse().getTokens().getAccessToken().getLifetime());
    }
}
""")
_SECRET: Final = """\
        ClientAuthentication authentication = new {kind}(clientId, new Secret(System.getenv("CLIENT_SECRET")));
"""
_KEY: Final = Code("""\
        JWK key = JWK.parse(Files.readString(Path.of("private-key.jwk.json")));
        ClientAuthentication authentication = new PrivateKeyJWT(clientId, URI.create(@{issuer}),
            JWSAlgorithm.parse(@{algorithm}), key.@{kind}.toPrivateKey(), @{key_id}, null);
""")
_OWN_TOKEN: Final = """\
        TokenRequest request = new TokenRequest(server.getTokenEndpointURI(), authentication, new ClientCredentialsGrant(), scope);
"""
_SIGN_IN: Final = Code("""\
        URI redirectUri = URI.create(@{redirect_uri});
        CodeVerifier verifier = new CodeVerifier();
        State state = new State();
        AuthenticationRequest question = new AuthenticationRequest.Builder(new ResponseType("code"), scope, clientId, redirectUri)
            .endpointURI(server.getAuthorizationEndpointURI())
            .state(state)
            .nonce(new Nonce())
            .codeChallenge(verifier, CodeChallengeMethod.S256)
            .build();
        System.out.println("Open " + question.toURI());
        URI cameBackTo = URI.create(new Scanner(System.in).nextLine());
        AuthenticationSuccessResponse answer = AuthenticationResponseParser.parse(cameBackTo).toSuccessResponse();
        if (!state.equals(answer.getState())) {
            throw new IllegalStateException("This answer belongs to another request.");
        }
        AuthorizationGrant grant = new AuthorizationCodeGrant(answer.getAuthorizationCode(), redirectUri, verifier);
        TokenRequest request = new TokenRequest.Builder(server.getTokenEndpointURI(), @{authenticated}, grant).build();
""")
_SECRET_KINDS: Final = {"client_secret_basic": "ClientSecretBasic", "client_secret_post": "ClientSecretPost"}


def own_token(facts: AppFacts) -> str:
    """Return code that gets a token of the app itself."""
    return _PROGRAM.substitute(facts.quoted(for_java), authentication=_authentication(facts), body=_OWN_TOKEN)


def sign_in(facts: AppFacts) -> str:
    """Return code that signs a person in by code and PKCE."""
    quoted = facts.quoted(for_java)
    body = _SIGN_IN.substitute(quoted, authenticated="clientId" if facts.method == "none" else "authentication")
    return _PROGRAM.substitute(quoted, authentication=_authentication(facts), body=body)


def _authentication(facts: AppFacts) -> str:
    if facts.method in _SECRET_KINDS:
        return _SECRET.format(kind=_SECRET_KINDS[facts.method])
    if facts.method != "private_key_jwt":
        return ""
    kinds = {"ES": "toECKey()", "Ed": "toOctetKeyPair()"}
    return _KEY.substitute(facts.quoted(for_java), kind=kinds.get(facts.algorithm[:2], "toRSAKey()"))
