// The life of a registration with openid-client, and with oauth4webapi below it. Commands as in journey.mjs.
import { createInterface } from "node:readline";
import * as client from "openid-client";
import * as oauth from "oauth4webapi";

const state = {};

async function authenticationBy(method, jwk) {
  if (method === "private_key_jwt") {
    const { kid, alg, use, ...bare } = jwk;
    const key = await crypto.subtle.importKey("jwk", bare, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
    return client.PrivateKeyJwt({ key, kid });
  }
  return { client_secret_basic: client.ClientSecretBasic, none: client.None }[method]?.();
}

function replacement({ registration_access_token, registration_client_uri, client_secret_expires_at, client_id_issued_at, ...kept }) {
  return kept;
}

async function manage(method, document) {
  const { registration_access_token: token, registration_client_uri: address } = state.registered;
  const body = document === undefined ? null : JSON.stringify(document);
  const headers = new Headers(body === null ? {} : { "content-type": "application/json" });
  const answer = await client.fetchProtectedResource(state.config, token, new URL(address), method, body, headers);
  return { status: answer.status, document: answer.status === 204 ? {} : await answer.json() };
}

const commands = {
  // Without `method` the library chooses by itself how to authenticate.
  async register({ issuer, token, metadata, method, jwk }) {
    const authentication = method && (await authenticationBy(method, jwk));
    const options = token ? { initialAccessToken: token } : {};
    state.config = await client.dynamicClientRegistration(new URL(issuer), metadata, authentication, options);
    state.registered = state.config.clientMetadata();
    return state.registered;
  },

  async registerDirectly({ issuer, token, metadata }) {
    const url = new URL(issuer);
    const answer = await oauth.discoveryRequest(url, { algorithm: "oauth2" });
    const server = await oauth.processDiscoveryResponse(url, answer);
    const made = await oauth.dynamicClientRegistrationRequest(server, metadata, { initialAccessToken: token });
    const registered = await oauth.processDynamicClientRegistrationResponse(made);
    const authentication = oauth.ClientSecretBasic(registered.client_secret);
    const form = new URLSearchParams({ scope: registered.scope });
    const granted = await oauth.clientCredentialsGrantRequest(server, registered, authentication, form);
    return { registered, tokens: await oauth.processClientCredentialsResponse(server, registered, granted) };
  },

  async clientCredentials() {
    return client.clientCredentialsGrant(state.config, { scope: state.registered.scope });
  },

  async read() {
    return manage("GET");
  },

  // What was registered, with some members changed.
  async replace({ changes }) {
    const answer = await manage("PUT", { ...replacement(state.registered), ...changes });
    if (answer.status === 200) state.registered = { ...state.registered, ...answer.document };
    return answer;
  },

  async remove() {
    return manage("DELETE");
  },

  async start({ scope }) {
    state.verifier = client.randomPKCECodeVerifier();
    state.state = client.randomState();
    state.nonce = client.randomNonce();
    const request = {
      redirect_uri: state.registered.redirect_uris[0],
      scope,
      code_challenge: await client.calculatePKCECodeChallenge(state.verifier),
      code_challenge_method: "S256",
      state: state.state,
      nonce: state.nonce,
    };
    return { url: client.buildAuthorizationUrl(state.config, request).href };
  },

  async finish({ url }) {
    const tokens = await client.authorizationCodeGrant(state.config, new URL(url), {
      pkceCodeVerifier: state.verifier,
      expectedState: state.state,
      expectedNonce: state.nonce,
      idTokenExpected: true,
    });
    const claims = tokens.claims();
    return { tokens, claims, about: await client.fetchUserInfo(state.config, tokens.access_token, claims.sub) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command](given);
  } catch (problem) {
    // A refusal with a challenge is an error of its own kind, without the body.
    const body = problem.code === "OAUTH_WWW_AUTHENTICATE_CHALLENGE" ? await problem.response.json() : (problem.cause ?? {});
    answer = { problem: problem.error ?? body.error ?? problem.code ?? problem.name, status: problem.status, message: problem.message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
