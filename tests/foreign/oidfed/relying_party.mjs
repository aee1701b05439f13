// Relying parties made of @oidfed: each serves its entity configuration, registers, and authenticates. Each line of standard input is a
// command, each line of standard output its answer. What is signed and verified here is signed and verified by @oidfed.
import dns from "node:dns";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createInterface } from "node:readline";
import { createTrustAnchorSet, MemoryFederationKeyProvider, JwkSigner } from "@oidfed/core";
import { Leaf } from "@oidfed/leaf";
import { OidcRelyingPartyRole, StaticProtocolSigningKeyProvider } from "@oidfed/oidc";

// The names of this federation exist nowhere: every one of them is on loopback.
dns.lookup = (host, options, done) => {
  const loopback = { address: "127.0.0.1", family: 4 };
  const answer = done ?? options;
  return options.all ? answer(null, [loopback]) : answer(null, loopback.address, loopback.family);
};

const parties = new Map();

async function generateKey(kid) {
  const { privateKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey("jwk", privateKey);
  return { kty, crv, x, y, d, kid, alg: "ES256", use: "sig" };
}

function publish({ d, ...rest }) {
  return rest;
}

function valueOf(result) {
  if (!result.ok) {
    throw Object.assign(new Error(result.error.description), { code: result.error.code });
  }
  return result.value;
}

const commands = {
  // Serves every relying party that joins later, by the path of its identifier.
  async listen({ port, certificate, key }) {
    const options = { cert: readFileSync(certificate), key: readFileSync(key) };
    const server = createServer(options, async (request, answer) => {
      const url = `https://${request.headers.host}${request.url}`;
      const party = [...parties.entries()].find(([entityId]) => url.startsWith(`${entityId}/`))?.[1];
      const served = party ? await party.leaf.handleRequest(new Request(url, { method: request.method })) : new Response("", { status: 404 });
      answer.writeHead(served.status, Object.fromEntries(served.headers));
      answer.end(await served.text());
    });
    await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    server.unref();
    return {};
  },

  async join({ entityId, superior, anchor, anchorKeys, metadata }) {
    const [federationKey, protocolKey] = [await generateKey("federation"), await generateKey("protocol")];
    const role = new OidcRelyingPartyRole({
      protocolKeyProvider: new StaticProtocolSigningKeyProvider({ requestObjectSigner: new JwkSigner(protocolKey) }),
      metadata: { ...metadata, jwks: { keys: [publish(protocolKey)] } },
    });
    const leaf = new Leaf({
      entityId,
      authorityHints: [superior],
      keyProvider: MemoryFederationKeyProvider.fromJWK(federationKey),
      metadata: { federation_entity: { organization_name: "Foreign Relying Party" } },
      trustAnchors: createTrustAnchorSet([{ entityId: anchor, jwks: anchorKeys }]),
      roles: [role],
    });
    parties.set(entityId, { leaf, role });
    return { jwks: { keys: [publish(federationKey)] } };
  },

  // Automatic registration: the signed request, pushed by @oidfed itself when it is asked to.
  async begin({ entityId, provider, delivery, parameters }) {
    const { role } = parties.get(entityId);
    const begun = valueOf(await role.automaticallyRegister({ opEntityId: provider, requestDelivery: delivery, ...parameters }));
    const { authorizationUrl, authorizationEndpoint, formParams } = begun;
    return { authorizationUrl, authorizationEndpoint, formParams };
  },

  async register({ entityId, provider }) {
    const { role } = parties.get(entityId);
    const { registrationStatement, ...registered } = valueOf(await role.explicitlyRegister(provider));
    return { ...registered, claims: registrationStatement.payload };
  },

  async authenticate({ entityId, audience }) {
    return { assertion: await parties.get(entityId).role.createClientAssertion(audience) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command](given);
  } catch (problem) {
    answer = { problem: problem.code ?? problem.name, message: `${problem.message} ${problem.cause ?? ""}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit();
