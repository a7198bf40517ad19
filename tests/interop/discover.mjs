// Finds the keys of an issuer by discovery and verifies tokens. Input: JSON lines {issuer, audience, token}; output: a line
// for each way to discover. NODE_EXTRA_CA_CERTS names the CA.
import { createInterface } from "node:readline";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { discovery } from "openid-client";

for await (const line of createInterface({ input: process.stdin })) {
  const { issuer, audience, token } = JSON.parse(line);
  for (const algorithm of ["oidc", "oauth2"]) { // OpenID Connect Discovery 1.0, RFC 8414
    const found = (await discovery(new URL(issuer), audience, undefined, undefined, { algorithm })).serverMetadata();
    const keys = createRemoteJWKSet(new URL(found.jwks_uri));
    const algorithms = found.id_token_signing_alg_values_supported;
    const { payload } = await jwtVerify(token, keys, { issuer: found.issuer, audience, algorithms });
    console.log(algorithm, payload.sub);
  }
}
