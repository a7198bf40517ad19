// Verifies tokens with nothing but the URL of their set. Input: JSON lines {url, alg, token}; output: a line for each check.
import assert from "node:assert";
import { createInterface } from "node:readline";
import { createRemoteJWKSet, jwtVerify } from "jose";
import jsonwebtoken from "jsonwebtoken";
import { JwksClient } from "jwks-rsa";

for await (const line of createInterface({ input: process.stdin })) {
  const { url, alg, token } = JSON.parse(line);
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(url)), { algorithms: [alg] });
  assert.equal(payload.sub, "alice");
  console.log(alg, "jose");
  if (!alg.startsWith("Ed")) { // jsonwebtoken has no Ed25519
    const { kid } = jsonwebtoken.decode(token, { complete: true }).header;
    const key = await new JwksClient({ jwksUri: url }).getSigningKey(kid);
    assert.equal(jsonwebtoken.verify(token, key.getPublicKey(), { algorithms: [alg] }).sub, "alice");
    console.log(alg, "jsonwebtoken");
  }
}
