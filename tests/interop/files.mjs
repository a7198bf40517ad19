// Reads private keys as files of a Signer Secret. Input: JSON lines {path, jwk}; output: the public half of each, as SPKI PEM in base64.
import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const { path, jwk } = JSON.parse(line);
  const content = readFileSync(path);
  const key = createPrivateKey(jwk ? { key: JSON.parse(content), format: "jwk" } : content);
  const pem = createPublicKey(key).export({ type: "spki", format: "pem" });
  console.log(Buffer.from(pem).toString("base64"));
}
