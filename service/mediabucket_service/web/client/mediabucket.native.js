// The client for React Native, which has no workers and knows no import.meta.

import { clientWith } from "./client.js";

export * from "./errors.js";
export * from "./problems.js";
export { Sha256 } from "./sha256.js";

export function createClient(options) {
  return clientWith(() => null, options);
}
