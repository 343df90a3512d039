// A worker that hashes the one blob it is sent, and says how far it is.

import { hashInline } from "./hash_file.js";

self.onmessage = async ({ data }) => {
  try {
    const digest = await hashInline(data.blob, { onBytes: (bytes) => self.postMessage({ bytes }) });
    self.postMessage({ digest });
  } catch (error) {
    self.postMessage({ unreadable: String(error?.message ?? error) });
  }
};
