// The client of a MediaBucket upload service, for browsers and Node:
//
//   import { createClient } from "https://media.example.com/client/mediabucket.js";
//   const client = createClient({ baseUrl: "https://media.example.com", getToken });
//   const media = await client.upload(file, { onProgress: ({ phase, loaded, total }) => … });

import { clientWith } from "./client.js";
import { startHashWorker } from "./worker_start.js";

export * from "./errors.js";
export * from "./problems.js";
export { Sha256 } from "./sha256.js";

export function createClient(options) {
  return clientWith(startHashWorker, options);
}
