// Does with the client what a test asks for: node driver.mjs '{"action": ..., ...}'. The answer is one line of JSON.

import { openAsBlob, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";

const asked = JSON.parse(process.argv[2]);
// The client finds them as they are where it runs.
const native = asked.native && (await import("./react_native.mjs"));
const library = await import(asked.library);
const { createClient } = library;

// The requests to the API, as "POST /api/…"; those to the store are counted by the proxy in front of it.
const calls = [];
const countingFetch = (url, init) => {
  if (url.startsWith(asked.baseUrl)) calls.push(`${init.method} ${url.slice(asked.baseUrl.length)}`);
  return fetch(url, init);
};

const client = asked.baseUrl && createClient({
  baseUrl: asked.baseUrl,
  token: asked.token,
  fetch: countingFetch,
  retry: { baseMilliseconds: 20, ...asked.retry },
  ...asked.client,
});

async function fileAt({ path, type, name = basename(path) }) {
  const content = await openAsBlob(path);
  return native ? native.blobOf(content, type) : new File([content], name, { type });
}

const fromNpm = (name) => import(pathToFileURL(createRequire(`${asked.npm}/`).resolve(name)));

const told = (error) => ({
  name: error.name,
  message: error.message,
  userMessage: error.userMessage,
  slug: error.slug,
  status: error.status,
  code: error.code,
});

const settled = ({ status, value, reason }) => (reason ? { status, error: told(reason) } : { status, media: value });

// getrusage would tell that of the process that started this one, too.
const peakBytes = () => 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]);

const ACTIONS = {
  async upload() {
    const progress = [];
    const onProgress = (state) => progress.push(state);
    const media = await client.upload(await fileAt(asked.file), { ...asked.options, onProgress });
    return { media, progress, peakBytes: peakBytes() };
  },

  async uploadMany() {
    const files = await Promise.all(asked.files.map(fileAt));
    const running = new Set();
    let most = 0;
    const onProgress = ({ index }) => {
      running.add(index);
      most = Math.max(most, running.size);
    };
    const onSettled = (outcome, file, index) => running.delete(index);
    const results = await client.uploadMany(files, { ...asked.options, onProgress, onSettled });
    return { results: results.map(settled), most, left: running.size };
  },

  // Aborts after so many milliseconds in a phase.
  async abort() {
    const controller = new AbortController();
    const onProgress = ({ phase }) => {
      if (phase === asked.phase) setTimeout(() => controller.abort(), asked.after);
    };
    const file = await fileAt(asked.file);
    try {
      await client.upload(file, { signal: controller.signal, onProgress });
    } catch (error) {
      const { signal } = controller;
      const before = calls.length;
      await new Promise((resolve) => setTimeout(resolve, 500));
      return { error: told(error), isReason: error === signal.reason, callsAfter: calls.length - before };
    }
    return { error: null };
  },

  // A call of the client by its name.
  async call() {
    return { answer: (await client[asked.method](...asked.arguments)) ?? null };
  },

  async renewedToken() {
    const refusals = [];
    const getToken = ({ refused }) => {
      refusals.push(refused);
      return refused === null ? asked.first : asked.second;
    };
    const own = createClient({ baseUrl: asked.baseUrl, getToken, fetch: countingFetch });
    return { page: await own.list(), refusals };
  },

  async pausedUppy() {
    const { uppy, done } = await uppyWith(asked.file);
    let pauses = 0;
    uppy.on("upload-progress", (file, { bytesUploaded }) => {
      if (bytesUploaded === 0 || pauses > 0) return;
      pauses += 1;
      uppy.pauseAll();
      setTimeout(() => uppy.resumeAll(), 300);
    });
    return { ...(await done()), pauses };
  },

  async removedFromUppy() {
    const { uppy, done } = await uppyWith(asked.file);
    uppy.on("upload-progress", (file) => setTimeout(() => uppy.removeFile(file.id), 200));
    const outcome = await done();
    return { ...outcome, left: uppy.getFiles().length };
  },

  async retriedUppy() {
    const { uppy, done } = await uppyWith(asked.file);
    const first = await done();
    const again = await uppy.retryAll();
    return { ...first, again: again.successful.map((file) => file.response.body) };
  },

  async uppy() {
    const { done } = await uppyWith(...asked.files);
    return done();
  },
};

async function uppyWith(...files) {
  const { default: Uppy, BasePlugin } = await fromNpm("@uppy/core");
  const { mediaBucketUploader } = await import(new URL("./uppy.js", asked.library));
  const quiet = { debug() {}, warn() {}, error() {} };
  const uppy = new Uppy({ logger: quiet, infoTimeout: 10 }).use(mediaBucketUploader(BasePlugin), { client, limit: 2 });
  for (const file of await Promise.all(files.map(fileAt))) uppy.addFile({ name: file.name, type: file.type, data: file });
  const events = [];
  for (const name of ["upload-start", "upload-success", "upload-error", "complete"]) uppy.on(name, () => events.push(name));
  const errors = [];
  uppy.on("upload-error", (file, error) => errors.push({ ...told(error), cause: told(error.cause) }));
  const done = async () => {
    // Nothing is left of an upload whose only file was removed.
    const result = (await uppy.upload()) ?? { successful: [], failed: [] };
    const media = result.successful.map((file) => file.response.body);
    const percentages = result.successful.map((file) => file.progress.percentage);
    return { media, percentages, failed: result.failed.map((file) => file.error), errors, events };
  };
  return { uppy, done };
}

let answer;
try {
  answer = await ACTIONS[asked.action]();
} catch (error) {
  if (!(error instanceof library.MediaBucketError)) throw error;
  answer = { error: told(error) };
}
console.log(JSON.stringify({ ...answer, calls }));
