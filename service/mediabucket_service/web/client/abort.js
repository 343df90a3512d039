// AbortSignals as React Native has them, too: without `reason`, `throwIfAborted`, `any` and `timeout`.

export function abortReason(signal) {
  if (signal.reason !== undefined) return signal.reason;
  const error = new Error("the operation was aborted");
  error.name = "AbortError";
  return error;
}

export function throwIfAborted(signal) {
  if (signal?.aborted) throw abortReason(signal);
}

// Calls `action` once when the signal is aborted, at once if it is already; answers how to call that off.
export function onAbort(signal, action) {
  if (!signal) return () => {};
  if (signal.aborted) {
    action();
    return () => {};
  }
  signal.addEventListener("abort", action);
  return () => signal.removeEventListener("abort", action);
}

// A controller that is aborted with the signal; `release()` ends the tie.
export function linkedController(signal) {
  const controller = new AbortController();
  const release = onAbort(signal, () => controller.abort(abortReason(signal)));
  return { controller, release };
}
