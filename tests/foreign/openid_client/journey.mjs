// The whole life of a sign-in with openid-client. Each line of standard input is a command, each line of standard output its answer.
import { createInterface } from "node:readline";
import * as client from "openid-client";

const state = {};

const commands = {
  async discover({ issuer, clientId, jwk, metadata }) {
    const { kid, alg, use, ...bare } = jwk;
    const key = await crypto.subtle.importKey("jwk", bare, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
    state.key = { key, kid };
    state.config = await client.discovery(new URL(issuer), clientId, metadata, client.PrivateKeyJwt(state.key));
    return state.config.serverMetadata();
  },

  async start({ way, parameters }) {
    state.verifier = client.randomPKCECodeVerifier();
    state.state = client.randomState();
    state.nonce = client.randomNonce();
    const request = {
      ...parameters,
      code_challenge: await client.calculatePKCECodeChallenge(state.verifier),
      code_challenge_method: "S256",
      state: state.state,
      nonce: state.nonce,
    };
    const build = {
      plain: () => client.buildAuthorizationUrl(state.config, request),
      signed: () => client.buildAuthorizationUrlWithJAR(state.config, request, state.key),
      pushed: () => client.buildAuthorizationUrlWithPAR(state.config, request),
      pushedAndSigned: async () => {
        const signed = await client.buildAuthorizationUrlWithJAR(state.config, request, state.key);
        return client.buildAuthorizationUrlWithPAR(state.config, { request: signed.searchParams.get("request") });
      },
    };
    return { url: (await build[way]()).href };
  },

  async finish({ url, maxAge }) {
    state.callback = url;
    state.tokens = await client.authorizationCodeGrant(state.config, new URL(url), {
      pkceCodeVerifier: state.verifier,
      expectedState: state.state,
      expectedNonce: state.nonce,
      idTokenExpected: true,
      ...(maxAge === undefined ? {} : { maxAge }),
    });
    state.sub = state.tokens.claims().sub;
    return { tokens: state.tokens, claims: state.tokens.claims() };
  },

  // The same code once more.
  async finishAgain() {
    return commands.finish({ url: state.callback });
  },

  async userinfo() {
    return client.fetchUserInfo(state.config, state.tokens.access_token, state.sub);
  },

  async refresh({ token }) {
    state.tokens = await client.refreshTokenGrant(state.config, token ?? state.tokens.refresh_token);
    return { tokens: state.tokens };
  },

  async revoke({ token }) {
    await client.tokenRevocation(state.config, token);
    return {};
  },

  async logout({ idToken, returnTo }) {
    const url = client.buildEndSessionUrl(state.config, { id_token_hint: idToken, post_logout_redirect_uri: returnTo, state: "bye" });
    return { url: url.href };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command](given);
  } catch (problem) {
    const cause = problem.cause ?? {};
    answer = { problem: problem.error ?? cause.error ?? problem.code ?? problem.name, message: `${problem.message} ${JSON.stringify(cause)}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
