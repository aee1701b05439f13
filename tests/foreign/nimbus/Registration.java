// The life of a registration with the Nimbus OAuth 2.0 SDK. Each line of standard input is a command, each line of standard output its answer.

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.oauth2.sdk.ClientCredentialsGrant;
import com.nimbusds.oauth2.sdk.ErrorObject;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.auth.ClientAuthentication;
import com.nimbusds.oauth2.sdk.auth.ClientSecretBasic;
import com.nimbusds.oauth2.sdk.auth.PrivateKeyJWT;
import com.nimbusds.oauth2.sdk.client.ClientDeleteRequest;
import com.nimbusds.oauth2.sdk.client.ClientReadRequest;
import com.nimbusds.oauth2.sdk.client.ClientRegistrationResponse;
import com.nimbusds.oauth2.sdk.http.HTTPRequest;
import com.nimbusds.oauth2.sdk.http.HTTPResponse;
import com.nimbusds.oauth2.sdk.id.Issuer;
import com.nimbusds.oauth2.sdk.token.BearerAccessToken;
import com.nimbusds.oauth2.sdk.util.JSONObjectUtils;
import com.nimbusds.openid.connect.sdk.op.OIDCProviderMetadata;
import com.nimbusds.openid.connect.sdk.rp.OIDCClientInformation;
import com.nimbusds.openid.connect.sdk.rp.OIDCClientInformationResponse;
import com.nimbusds.openid.connect.sdk.rp.OIDCClientMetadata;
import com.nimbusds.openid.connect.sdk.rp.OIDCClientRegistrationRequest;
import com.nimbusds.openid.connect.sdk.rp.OIDCClientRegistrationResponseParser;
import com.nimbusds.openid.connect.sdk.rp.OIDCClientUpdateRequest;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Map;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import net.minidev.json.JSONObject;

public class Registration {
    private static OIDCProviderMetadata provider;
    private static OIDCClientInformation client;

    public static void main(String[] arguments) throws Exception {
        trust(Path.of(arguments[0]));
        provider = OIDCProviderMetadata.resolve(new Issuer(arguments[1]));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JSONObject answer;
            try {
                answer = answer(JSONObjectUtils.parse(line));
            } catch (Exception problem) {
                answer = new JSONObject(Map.of("problem", problem.getClass().getSimpleName(), "message", String.valueOf(problem.getMessage())));
            }
            System.out.println(answer.toJSONString());
        }
    }

    private static JSONObject answer(JSONObject given) throws Exception {
        switch ((String) given.get("command")) {
            case "register":
                return register(given);
            case "read":
                return learn(new ClientReadRequest(client.getRegistrationURI(), client.getRegistrationAccessToken()).toHTTPRequest().send());
            case "replace":
                return replace((JSONObject) given.get("changes"));
            case "remove":
                return remove();
            default:
                return token(given);
        }
    }

    private static JSONObject register(JSONObject given) throws Exception {
        String token = (String) given.get("token"), statement = (String) given.get("statement");
        BearerAccessToken bearer = token == null ? null : new BearerAccessToken(token);
        OIDCClientMetadata metadata = OIDCClientMetadata.parse((JSONObject) given.get("metadata"));
        URI endpoint = provider.getRegistrationEndpointURI();
        OIDCClientRegistrationRequest request = statement == null
            ? new OIDCClientRegistrationRequest(endpoint, metadata, bearer)
            : new OIDCClientRegistrationRequest(endpoint, metadata, SignedJWT.parse(statement), bearer);
        return learn(request.toHTTPRequest().send());
    }

    private static JSONObject replace(JSONObject changes) throws Exception {
        JSONObject wanted = client.getOIDCMetadata().toJSONObject();
        wanted.putAll(changes);
        OIDCClientUpdateRequest request = new OIDCClientUpdateRequest(client.getRegistrationURI(), client.getID(),
            client.getRegistrationAccessToken(), OIDCClientMetadata.parse(wanted), client.getSecret());
        return learn(request.toHTTPRequest().send());
    }

    private static JSONObject remove() throws Exception {
        HTTPResponse response = new ClientDeleteRequest(client.getRegistrationURI(), client.getRegistrationAccessToken()).toHTTPRequest().send();
        return new JSONObject(Map.of("status", response.getStatusCode()));
    }

    // What the library makes of an answer: the client, with a new secret or the one that is known.
    private static JSONObject learn(HTTPResponse response) throws Exception {
        ClientRegistrationResponse parsed = OIDCClientRegistrationResponseParser.parse(response);
        if (!parsed.indicatesSuccess()) {
            return problem(parsed.toErrorResponse().getErrorObject(), response);
        }
        OIDCClientInformation told = ((OIDCClientInformationResponse) parsed.toSuccessResponse()).getOIDCClientInformation();
        client = told.getSecret() != null || client == null || !client.getID().equals(told.getID())
            ? told
            : new OIDCClientInformation(told.getID(), told.getIDIssueDate(), told.getOIDCMetadata(), client.getSecret(),
                told.getRegistrationURI(), told.getRegistrationAccessToken());
        return told.toJSONObject();
    }

    private static JSONObject token(JSONObject given) throws Exception {
        ClientAuthentication authentication;
        if (given.get("jwk") == null) {
            authentication = new ClientSecretBasic(client.getID(), client.getSecret());
        } else {
            ECKey key = ECKey.parse(((JSONObject) given.get("jwk")).toJSONString());
            URI audience = URI.create(provider.getIssuer().getValue());
            authentication = new PrivateKeyJWT(client.getID(), audience, JWSAlgorithm.ES256, key.toPrivateKey(), key.getKeyID(), null);
        }
        TokenRequest request = new TokenRequest(
            provider.getTokenEndpointURI(), authentication, new ClientCredentialsGrant(), client.getOIDCMetadata().getScope());
        HTTPResponse response = request.toHTTPRequest().send();
        TokenResponse parsed = TokenResponse.parse(response);
        return parsed.indicatesSuccess()
            ? parsed.toSuccessResponse().toJSONObject()
            : problem(parsed.toErrorResponse().getErrorObject(), response);
    }

    private static JSONObject problem(ErrorObject error, HTTPResponse response) {
        return new JSONObject(Map.of("problem", String.valueOf(error.getCode()), "status", response.getStatusCode(),
            "message", String.valueOf(error.getDescription())));
    }

    private static void trust(Path authority) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream certificate = Files.newInputStream(authority)) {
            store.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(certificate));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        HTTPRequest.setDefaultSSLSocketFactory(context.getSocketFactory());
    }
}
