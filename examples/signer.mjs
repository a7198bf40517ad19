// Signs tokens with the active key of a mounted Signer Secret: npm install jose
import { readFile, stat } from "node:fs/promises";
import { importJWK, SignJWT } from "jose";

const file = `${process.env.KEYSET_DIR ?? "/var/run/keyset"}/private.jwk`;
let active = {}; // when the file was written, and its key

export async function sign(claims, lifetime = "10m") { // lifetime: at most spec.tokens.maxLifetime
  const written = (await stat(file)).mtimeMs;
  if (written !== active.written) {
    const jwk = JSON.parse(await readFile(file)); // kid and key come from one file, so they belong together
    active = { written, header: { alg: jwk.alg, kid: jwk.kid }, key: await importJWK(jwk, jwk.alg) };
  }
  const { header, key } = active;
  return new SignJWT(claims).setProtectedHeader(header).setIssuedAt().setExpirationTime(lifetime).sign(key);
}

if (process.argv[1]?.endsWith("signer.mjs")) {
  console.log(await sign({ iss: "https://login.example.com", sub: "alice" }));
}
