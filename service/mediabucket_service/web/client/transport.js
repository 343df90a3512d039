// One PUT to the store, and what its answer means.

import { abortReason, linkedController, onAbort, throwIfAborted } from "./abort.js";
import { NetworkFailure, StoreRefused } from "./errors.js";
import { retryAfterSeconds } from "./retry.js";

export const STORED = "stored";
export const EXPIRED = "expired";

// PUTs `body` with exactly `headers`; `onSent(bytes)` hears how much has left, as far as the platform tells. Answers
// STORED, or EXPIRED when a fresh URL is needed: `isExpired()` says whether the URL has outlived its time by our count.
// Throws NetworkFailure, StoreRefused, and the signal's reason.
export async function putBytes({ url, headers, isExpired }, body, { onSent, signal, fetch, stallMilliseconds = 60_000 } = {}) {
  throwIfAborted(signal);
  if (isExpired()) return EXPIRED;
  // fetch cannot tell how much of a body has been sent.
  const answer = typeof XMLHttpRequest === "undefined"
    ? await putByFetch(url, headers, body, { signal, fetch })
    : await putByRequest(url, headers, body, { onSent, signal, stallMilliseconds });
  const outcome = outcomeOf(answer, isExpired());
  if (outcome === STORED) onSent?.(body.size);
  return outcome;
}

// What the store's answer to a PUT means: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
export function outcomeOf({ status, text, retryAfter = null }, isExpired) {
  if (status >= 200 && status < 300) return STORED;
  // 412: these very bytes are there already. 409: somebody is sending them at this moment; confirm tells how it ended.
  if (status === 412 || status === 409) return STORED;
  // Some stores do not say why, as Ceph; a client whose URL is good still was refused for another reason.
  if (status === 403 && (isExpired || /expired/i.test(text))) return EXPIRED;
  const code = /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? null;
  throw new StoreRefused(status, { code, retryAfterSeconds: retryAfterSeconds(retryAfter) });
}

async function putByFetch(url, headers, body, { signal, fetch = globalThis.fetch }) {
  const { controller, release } = linkedController(signal);
  try {
    // A fetch that might be redirected, or ask its window for credentials, keeps a copy of the body to send it again:
    // in Node all of a large file would be in memory. https://fetch.spec.whatwg.org/#http-network-or-cache-fetch
    const once = { redirect: "error", window: null };
    const response = await fetch(url, { method: "PUT", headers, body, ...once, signal: controller.signal });
    return { status: response.status, text: await response.text(), retryAfter: response.headers.get("Retry-After") };
  } catch (error) {
    throwIfAborted(signal);
    throw new NetworkFailure(`the store cannot be reached: ${error?.message ?? error}`);
  } finally {
    release();
  }
}

function putByRequest(url, headers, body, { onSent, signal, stallMilliseconds }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stalled = watchdog(stallMilliseconds, () => {
      request.abort();
      reject(new NetworkFailure("the upload stalled"));
    });
    const release = onAbort(signal, () => {
      request.abort();
      reject(abortReason(signal));
    });
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => {
      stalled.reset();
      onSent?.(Math.min(loaded, body.size));
    };
    request.onerror = () => reject(new NetworkFailure("the connection to the store broke"));
    request.onload = () => resolve(answerOf(request));
    request.onloadend = () => {
      stalled.stop();
      release();
    };
    if (!signal?.aborted) request.send(body);
  });
}

function answerOf(request) {
  // Asking for one header that CORS does not expose makes browsers complain in the console.
  const retryAfter = /^retry-after:\s*(.*?)\s*$/im.exec(request.getAllResponseHeaders() ?? "")?.[1] ?? null;
  return { status: request.status, text: request.responseText ?? "", retryAfter };
}

function watchdog(milliseconds, action) {
  let timer = setTimeout(action, milliseconds);
  return {
    reset() {
      clearTimeout(timer);
      timer = setTimeout(action, milliseconds);
    },
    stop: () => clearTimeout(timer),
  };
}
