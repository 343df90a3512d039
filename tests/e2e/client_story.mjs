// What a page does with the client, told as plain values. Each function is called with the client's own module.

function fileOf(bytes, type, signature) {
  const piece = crypto.getRandomValues(new Uint8Array(65_536));
  const count = Math.ceil(bytes / piece.length);
  const pieces = Array.from({ length: count }, (_, index) => (index === 0 ? dressed(piece, signature) : piece));
  return new File([new Blob(pieces).slice(0, bytes)], `file.${type.split("/")[1]}`, { type });
}

function dressed(piece, signature) {
  const copy = piece.slice();
  copy.set(signature);
  return copy;
}

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const MP4 = [0, 0, 0, 24, ...new TextEncoder().encode("ftypmp42"), 0, 0, 0, 0, ...new TextEncoder().encode("mp42isom")];

// How many workers hashed, and what they answered: their digests, or "broken".
function watchWorkers() {
  const seen = [];
  globalThis.Worker = class extends Worker {
    constructor(...how) {
      super(...how);
      this.addEventListener("message", ({ data }) => data.digest && seen.push(data.digest));
      this.addEventListener("error", () => seen.push("broken"));
    }
  };
  return seen;
}

async function wholeSha256(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Uploads a file of so many bytes; `worker`: whether the digest is a worker's.
export async function upload(library, baseUrl, token, bytes, type = "image/png") {
  const { createClient } = await import(library);
  const workers = watchWorkers();
  const file = fileOf(bytes, type, type === "image/png" ? PNG : MP4);
  const steps = { hashing: 0, uploading: 0, confirming: 0, done: 0 };
  const loaded = [];
  const onProgress = (state) => {
    steps[state.phase] += 1;
    if (state.phase === "uploading") loaded.push(state.loaded);
  };
  const media = await createClient({ baseUrl, token }).upload(file, { onProgress });
  const served = await fetch(media.url);
  return {
    status: media.status,
    checksum: media.checksum === (await wholeSha256(file)),
    served: (await wholeSha256(await served.blob())) === media.checksum,
    worker: workers.includes(media.checksum),
    // Beside the first and the last word: how far the bytes were.
    between: loaded.filter((count) => count > 0 && count < bytes).length,
    ascending: loaded.every((count, index) => index === 0 || count >= loaded[index - 1]),
  };
}

// Aborts while the bytes are on their way.
export async function abort(library, baseUrl, token) {
  const { createClient } = await import(library);
  const controller = new AbortController();
  const onProgress = ({ phase, loaded }) => {
    if (phase === "uploading" && loaded > 0) controller.abort();
  };
  const uploading = createClient({ baseUrl, token }).upload(fileOf(50_000_000, "image/png", PNG), { signal: controller.signal, onProgress });
  const error = await uploading.catch((caught) => caught);
  return { name: error.name, isReason: error === controller.signal.reason };
}

// A refusal of the API, as it reaches a person.
export async function refusal(library, baseUrl, token) {
  const { createClient, TypeNotAllowed } = await import(library);
  const uploading = createClient({ baseUrl, token }).upload(new File(["notes"], "notes.txt", { type: "text/plain" }));
  const error = await uploading.catch((caught) => caught);
  return { isTyped: error instanceof TypeNotAllowed, userMessage: error.userMessage };
}

// No worker may be started on this page from now on.
export function forbidWorkers() {
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = "worker-src 'none'";
  document.head.append(policy);
}
