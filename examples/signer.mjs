// Signs tokens with the active key of a mounted Signer Secret: npm install jose
import { createPrivateKey } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { SignJWT } from "jose";

const mounted = process.env.KEYSET_DIR ?? "/var/run/keyset";
const maxLifetime = 3600; // T, spec.tokens.maxLifetime: no token lives longer
let active; // the key, its header, and where the link ..data led to when they were read

export async function sign(claims, lifetime = 600) {
  const { header, key } = current();
  const iat = Math.floor(Date.now() / 1000);
  const exp = iat + Math.min(lifetime, maxLifetime);
  return new SignJWT({ ...claims, iat, exp }).setProtectedHeader(header).sign(key);
}

// A kubelet swaps all files of a Secret at once, by leading the link ..data elsewhere. To look at it costs microseconds.
function current() {
  try {
    const version = readlinkSync(`${mounted}/..data`);
    if (version !== active?.version) {
      const jwk = JSON.parse(readFileSync(`${mounted}/${version}/private.jwk`)); // key, kid and alg in one: they belong together
      const header = { typ: "JWT", alg: jwk.alg, kid: jwk.kid };
      active = { version, header, key: createPrivateKey({ key: jwk, format: "jwk" }) };
    }
  } catch (error) {
    if (!active) throw error;
    console.error("the Signer Secret cannot be read, the key before signs on:", error.code ?? error.name); // a message may quote the file
  }
  return active;
}
