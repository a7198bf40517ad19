// Runs examples/signer.mjs: a token for each line of the input, all by one process.
import { createInterface } from "node:readline";
import { sign } from "./signer.mjs";

for await (const _ of createInterface({ input: process.stdin })) {
  console.log(await sign({ sub: "alice" }));
}
