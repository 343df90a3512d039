// createClient, for every platform: `startWorker` is what only some have.

import { Api } from "./api.js";
import { UsageError } from "./errors.js";
import { hashInWorker, hashInline } from "./hash_file.js";
import { settledAll } from "./pool.js";
import { DEFAULT_RETRY } from "./retry.js";
import { putBytes } from "./transport.js";
import { uploadFile } from "./upload.js";

// A worker takes longer to start than this takes to hash.
const WORTH_A_WORKER_BYTES = 4 * 1024 ** 2;
// A URL is not used in the last tenth of its life, nor in the last five seconds.
const MARGIN_SHARE = 0.1;
const MARGIN_SECONDS = 5;

export function clientWith(startWorker, options) {
  const context = contextOf(startWorker, options);
  const { api } = context;
  const parallelFiles = options.parallelFiles ?? 3;
  const upload = (file, settings) => uploadAndSend(context, file, settings);
  return {
    upload,
    uploadMany: (files, settings) => uploadMany(upload, parallelFiles, files, settings),
    sendMessage: (message, settings) => api.sendMessage(message, settings),
    messages: (conversationId, settings) => api.messages(conversationId, settings),
    list: (settings) => api.list(settings),
    get: (mediaId, settings) => api.get(mediaId, settings),
    delete: (mediaId, settings) => api.delete(mediaId, settings),
    parts: (mediaId, settings) => api.parts(mediaId, settings),
    confirm: (mediaId, settings) => api.confirm(mediaId, settings),
    checksum: (file, settings) => context.hash(file, settings),
  };
}

function contextOf(startWorker, options) {
  const retry = { ...DEFAULT_RETRY, ...options.retry };
  const { fetch, createHash, stallMilliseconds } = options;
  // Functions cannot be sent to a worker.
  const inline = (blob) => createHash !== undefined || blob.size < WORTH_A_WORKER_BYTES;
  return {
    api: new Api({ ...options, retry }),
    retry,
    parallelParts: options.parallelParts ?? 4,
    put: (target, body, settings) => putBytes(target, body, { fetch, stallMilliseconds, ...settings }),
    hash: (blob, settings) =>
      inline(blob) ? hashInline(blob, { createHash, ...settings }) : hashInWorker(blob, startWorker, settings),
    expiryOf,
  };
}

// Whether the URLs of an answer have outlived their time: by this machine's own count of seconds since, for its clock
// may be wrong.
function expiryOf({ expires_in: seconds }) {
  const margin = Math.min(MARGIN_SECONDS, MARGIN_SHARE * seconds);
  const deadline = performance.now() + 1000 * (seconds - margin);
  return () => performance.now() >= deadline;
}

async function uploadAndSend(context, file, options = {}) {
  const media = await uploadFile(context, file, options);
  if (options.conversation === undefined) return media;
  const { conversation, content = "", messageType = "text", clientMessageId, signal } = options;
  const message = {
    conversation_id: conversation,
    content,
    message_type: messageType,
    media_ids: [media.media_id],
    ...(clientMessageId !== undefined && { client_message_id: clientMessageId }),
  };
  return { ...media, message: await context.api.sendMessage(message, { signal }) };
}

// All files, a few at a time; what became of each, in their order. One that fails does not keep the others back.
async function uploadMany(upload, parallelFiles, files, settings = {}) {
  const { parallel = parallelFiles, onProgress, onSettled, ...options } = settings;
  if (options.conversation !== undefined) {
    throw new UsageError("uploadMany sends no message: call sendMessage with the media_ids of its results");
  }
  const all = [...files];
  const allTotal = sumOf(all.map((file) => file.size));
  const loaded = all.map(() => 0);
  const one = (file, index) => {
    const heard = (state) => {
      if (state.phase !== "hashing") loaded[index] = Math.max(loaded[index], state.loaded);
      onProgress?.({ ...state, file, index, allLoaded: sumOf(loaded), allTotal });
    };
    return upload(file, { ...options, onProgress: heard });
  };
  return settledAll(all, parallel, one, { signal: options.signal, onSettled });
}

const sumOf = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
