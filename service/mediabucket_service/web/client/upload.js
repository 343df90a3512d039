// The life of one upload: hash, initiate, PUT, confirm; and again from initiate on when the store or the service has
// let go of it meanwhile. The checksum is what an upload is resumed by, so that nothing need be remembered.

import { throwIfAborted } from "./abort.js";
import { UploadStuck } from "./errors.js";
import { sendParts } from "./parts.js";
import { UploadExpired, UploadMissing } from "./problems.js";
import { delayMilliseconds, pause, withRetries } from "./retry.js";
import { EXPIRED } from "./transport.js";

const MAX_ROUNDS = 5;

// The completed media of a Blob or File. See UploadOptions in mediabucket.d.ts.
export async function uploadFile(context, file, options = {}) {
  const { signal } = options;
  throwIfAborted(signal);
  const progress = new Progress(file.size, options.onProgress);
  const checksum = options.checksum ?? (await hashed(context, file, progress, signal));
  const media = await carriedOut(context, file, announcement(file, checksum, options), progress, signal);
  progress.enter("done", file.size);
  return media;
}

function hashed(context, file, progress, signal) {
  progress.enter("hashing");
  return context.hash(file, { signal, onBytes: (bytes) => progress.tell(bytes) });
}

function announcement(file, checksum, { fileName, mimeType, metadata }) {
  // A MediaRecorder says "video/webm;codecs=vp9", and a browser says nothing of a type that it does not know.
  const type = (mimeType ?? file.type ?? "").split(";")[0].trim();
  return {
    file_name: fileName ?? (file.name || "file"),
    file_size: file.size,
    mime_type: type || "application/octet-stream",
    checksum,
    ...(metadata && { metadata }),
    multipart: true,
  };
}

async function carriedOut(context, file, announced, progress, signal) {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const ticket = await context.api.initiate(announced, { signal });
    if (ticket.exists) return context.api.get(ticket.media_id, { signal });
    const { media, waitSeconds } = await tried(context, file, ticket, progress, signal);
    if (media) return media;
    const backoff = round > 0 ? delayMilliseconds(round, null, context.retry) : 0;
    await pause(1000 * waitSeconds + backoff, signal);
  }
  throw new UploadStuck(`the upload was begun ${MAX_ROUNDS} times and never came to an end`);
}

// The media, or none when the file has to be announced again.
async function tried(context, file, ticket, progress, signal) {
  try {
    progress.enter("uploading");
    const send = ticket.parts ? sendParts : sendWhole;
    if ((await send(context, file, ticket, progress, signal)) === EXPIRED) return { waitSeconds: 0 };
    progress.enter("confirming", file.size);
    return { media: await context.api.confirm(ticket.media_id, { signal }) };
  } catch (error) {
    if (!(error instanceof UploadMissing || error instanceof UploadExpired)) throw error;
    return { waitSeconds: error.retryAfterSeconds ?? 0 };
  }
}

function sendWhole(context, file, ticket, progress, signal) {
  const target = { url: ticket.upload_url, headers: ticket.headers, isExpired: context.expiryOf(ticket) };
  const onSent = (bytes) => progress.sent(new Map([[0, bytes]]));
  const attempt = () => context.put(target, file, { onSent, signal });
  return withRetries(attempt, { signal, retry: context.retry });
}

// Tells a listener {phase, loaded, total}, bytes. What is sent a second time does not move it backwards.
class Progress {
  #total;
  #listener;
  #phase = "hashing";
  #sent = new Map();
  #most = 0;

  constructor(total, listener) {
    this.#total = total;
    this.#listener = listener;
  }

  enter(phase, bytes = 0) {
    this.#phase = phase;
    this.#most = 0;
    this.#sent.clear();
    this.tell(bytes);
  }

  // `bytes`: how much of each part has left, by its number.
  sent(bytes) {
    for (const [number, count] of bytes) this.#sent.set(number, count);
    this.tell([...this.#sent.values()].reduce((sum, count) => sum + count, 0));
  }

  tell(loaded) {
    this.#most = Math.max(this.#most, loaded);
    this.#listener?.({ phase: this.#phase, loaded: this.#most, total: this.#total });
  }
}
