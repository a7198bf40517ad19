// What jose makes of tokens. Input: JSON lines {set, token, options}; output: for each "valid", or why it is not.
import { createInterface } from "node:readline";
import { createLocalJWKSet, jwtVerify } from "jose";

for await (const line of createInterface({ input: process.stdin })) {
  const { set, token, options } = JSON.parse(line);
  const currentDate = new Date(options.now * 1000);
  try {
    await jwtVerify(token, createLocalJWKSet(set), { ...options, currentDate });
    console.log("valid");
  } catch (error) {
    console.log(`${error.code ?? error.name}: ${error.message}`.replaceAll(/\s+/g, " "));
  }
}
