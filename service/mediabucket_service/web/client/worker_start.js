// Starts hash_worker.js. Apart from the rest because React Native knows no import.meta.

// A module worker, or null where there is none.
export function startHashWorker() {
  if (typeof Worker === "undefined" || typeof Blob === "undefined") return null;
  const url = new URL("./hash_worker.js", import.meta.url);
  try {
    if (typeof location === "undefined" || url.origin === location.origin) return new Worker(url, { type: "module" });
    return foreignWorker(url);
  } catch {
    return null;
  }
}

// A worker's script must be of the page's own origin, what it imports need not be.
function foreignWorker(url) {
  const script = new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" });
  const address = URL.createObjectURL(script);
  try {
    return new Worker(address, { type: "module" });
  } finally {
    // Long after the worker has read it.
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }
}
