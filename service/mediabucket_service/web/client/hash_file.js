// The SHA-256 of a file that is read slice by slice, so that its size does not matter.

import { abortReason, onAbort, throwIfAborted } from "./abort.js";
import { FileUnreadable } from "./errors.js";
import { Sha256, toHex } from "./sha256.js";

// 10 ms of hashing: a page stays responsive even without a worker.
export const SLICE_BYTES = 2 * 1024 ** 2;

// The hexadecimal SHA-256 of `blob`. `createHash()` answers, or promises, what has `update(bytes)` and `digest()`, as
// hash-wasm's createSHA256 does. `onBytes(count)` hears how much is done.
// Throws FileUnreadable, and the signal's reason.
export async function hashInline(blob, { createHash = () => new Sha256(), onBytes, signal } = {}) {
  const hash = await createHash();
  for (let start = 0; start < blob.size; start += SLICE_BYTES) {
    throwIfAborted(signal);
    const end = Math.min(start + SLICE_BYTES, blob.size);
    hash.update(await bytesOf(blob.slice(start, end)));
    onBytes?.(end);
  }
  throwIfAborted(signal);
  const digest = await hash.digest();
  return typeof digest === "string" ? digest : toHex(digest);
}

// The same in a worker; inline when no worker can be started, as under some content security policies.
// `startWorker()` answers a new Worker that runs hash_worker.js, or null.
export async function hashInWorker(blob, startWorker, { onBytes, signal } = {}) {
  throwIfAborted(signal);
  const worker = startWorker();
  if (worker === null) return hashInline(blob, { onBytes, signal });
  try {
    return await answerOf(worker, blob, { onBytes, signal });
  } catch (error) {
    if (error !== WORKER_BROKEN) throw error;
    return await hashInline(blob, { onBytes, signal });
  } finally {
    worker.terminate();
  }
}

const WORKER_BROKEN = Symbol("the worker could not be started");

function answerOf(worker, blob, { onBytes, signal }) {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, () => reject(abortReason(signal)));
    worker.onerror = (event) => {
      event.preventDefault?.();
      release();
      reject(WORKER_BROKEN);
    };
    worker.onmessage = ({ data }) => {
      if (data.bytes !== undefined) return onBytes?.(data.bytes);
      release();
      if (data.digest !== undefined) return resolve(data.digest);
      return reject(new FileUnreadable(data.unreadable));
    };
    worker.postMessage({ blob });
  });
}

async function bytesOf(slice) {
  try {
    if (typeof slice.arrayBuffer === "function") return new Uint8Array(await slice.arrayBuffer());
    return await bytesOfDataUrl(slice);
  } catch (error) {
    throw new FileUnreadable(String(error?.message ?? error));
  }
}

// React Native's blobs have no arrayBuffer, and its FileReader reads nothing but text and data URLs.
function bytesOfDataUrl(slice) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onerror = () => reject(reader.error);
    reader.onload = () => {
      const text = atob(reader.result.slice(reader.result.indexOf(",") + 1));
      resolve(Uint8Array.from(text, (character) => character.charCodeAt(0)));
    };
    reader.readAsDataURL(slice);
  });
}
