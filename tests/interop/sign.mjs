// Runs examples/signer.mjs: for each line of the input, [claims, seconds], a token, all by one process.
import { createInterface } from "node:readline";
import { sign } from "./signer.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await sign(...JSON.parse(line)));
}
