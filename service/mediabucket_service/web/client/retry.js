// Tries again what may succeed later: exponential backoff with full jitter.
// https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/

import { abortReason, onAbort, throwIfAborted } from "./abort.js";

export const DEFAULT_RETRY = {
  // Tries after the first.
  retries: 6,
  baseMilliseconds: 300,
  longestMilliseconds: 20_000,
  // A server that asks for more patience than this is told so to the caller.
  longestRetryAfterSeconds: 120,
};

// Calls `action(attempt)` until it answers or throws an error that is not `retryable`.
export async function withRetries(action, { signal, retry = DEFAULT_RETRY, random = Math.random } = {}) {
  for (let attempt = 0; ; attempt += 1) {
    throwIfAborted(signal);
    try {
      return await action(attempt);
    } catch (error) {
      throwIfAborted(signal);
      if (!isWorthATry(error, attempt, retry)) throw error;
      await pause(delayMilliseconds(attempt, error.retryAfterSeconds, retry, random), signal);
    }
  }
}

function isWorthATry(error, attempt, retry) {
  return error?.retryable === true && attempt < retry.retries
    && (error.retryAfterSeconds ?? 0) <= retry.longestRetryAfterSeconds;
}

// Never before the server asked to be asked again; the jitter keeps clients apart that were all told the same.
export function delayMilliseconds(attempt, retryAfterSeconds, retry, random = Math.random) {
  const ceiling = Math.min(retry.longestMilliseconds, retry.baseMilliseconds * 2 ** attempt);
  return 1000 * (retryAfterSeconds ?? 0) + random() * ceiling;
}

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    let release = () => {};
    const timer = setTimeout(() => {
      release();
      resolve();
    }, milliseconds);
    release = onAbort(signal, () => {
      clearTimeout(timer);
      release();
      reject(abortReason(signal));
    });
  });
}

// Seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after. Null when absent or neither.
export function retryAfterSeconds(value, now = Date.now()) {
  if (!value) return null;
  if (/^\d+$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000));
}
