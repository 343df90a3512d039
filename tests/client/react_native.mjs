// The globals of React Native in the place of Node's, as far as the client uses them: signals that only say `aborted`,
// blobs that only a FileReader reads, and a fetch that stands on XMLHttpRequest. Importing this replaces them.
// https://github.com/facebook/react-native/tree/main/packages/react-native/Libraries/{Blob,Network}

import http from "node:http";

const CHUNK_BYTES = 65_536;
const contents = new WeakMap();

class NativeSignal {
  aborted = false;
  #listeners = new Set();

  addEventListener(type, listener) {
    if (type === "abort") this.#listeners.add(listener);
  }

  removeEventListener(type, listener) {
    this.#listeners.delete(listener);
  }

  static abort(signal) {
    if (signal.aborted) return;
    signal.aborted = true;
    for (const listener of [...signal.#listeners]) listener({ type: "abort" });
  }
}

class NativeController {
  signal = new NativeSignal();

  // A reason is not kept.
  abort() {
    NativeSignal.abort(this.signal);
  }
}

class NativeBlob {
  constructor(content, type) {
    contents.set(this, content);
    Object.assign(this, { size: content.size, type });
  }

  slice(start, end) {
    return new NativeBlob(contents.get(this).slice(start, end), this.type);
  }
}

class NativeReader {
  async readAsDataURL(blob) {
    try {
      const bytes = Buffer.from(await contents.get(blob).arrayBuffer());
      this.result = `data:application/octet-stream;base64,${bytes.toString("base64")}`;
    } catch (error) {
      this.error = error;
      return this.onerror?.();
    }
    this.onload?.();
  }
}

class NativeRequest {
  upload = {};
  status = 0;
  responseText = "";
  #headers = {};
  #received = [];
  #method;
  #url;
  #request = null;

  open(method, url) {
    this.#method = method;
    this.#url = url;
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  getAllResponseHeaders() {
    return this.#received.join("");
  }

  send(body) {
    const content = contents.get(body) ?? new Blob(body === undefined ? [] : [body]);
    const headers = { ...this.#headers, "Content-Length": content.size };
    this.#request = http.request(this.#url, { method: this.#method, headers }, (response) => this.#read(response));
    this.#request.on("error", () => this.#end("onerror"));
    this.#write(content);
  }

  abort() {
    const request = this.#request;
    this.#end("onabort");
    request?.destroy();
  }

  // Tells what the connection has taken, no sooner.
  async #write(content) {
    const request = this.#request;
    for (let start = 0; start < content.size && !request.destroyed; start += CHUNK_BYTES) {
      const chunk = Buffer.from(await content.slice(start, start + CHUNK_BYTES).arrayBuffer());
      await new Promise((resolve) => request.write(chunk, resolve));
      if (this.#request) this.upload.onprogress?.({ loaded: start + chunk.length });
    }
    request.end();
  }

  async #read(response) {
    this.status = response.statusCode;
    this.#received = Object.entries(response.headers).map(([name, value]) => `${name}: ${value}\r\n`);
    try {
      for await (const chunk of response) this.responseText += chunk;
    } catch {
      return this.#end("onerror");
    }
    this.#end("onload");
  }

  // Once, as the last that is heard of it.
  #end(event) {
    if (this.#request === null) return;
    this.#request = null;
    this[event]?.();
    this.onloadend?.();
  }
}

function nativeFetch(url, { method, headers, body, signal }) {
  return new Promise((resolve, reject) => {
    const request = new NativeRequest();
    const aborted = () => reject(Object.assign(new Error("Aborted"), { name: "AbortError" }));
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", () => request.abort());
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.onabort = aborted;
    request.onerror = () => reject(new TypeError("Network request failed"));
    request.onload = () => resolve(answerOf(request));
    request.send(body);
  });
}

function answerOf(request) {
  const lines = request.getAllResponseHeaders().split("\r\n").map((line) => /^([^:]+): (.*)$/.exec(line));
  const known = new Map(lines.filter(Boolean).map(([, name, value]) => [name, value]));
  const headers = { get: (name) => known.get(name.toLowerCase()) ?? null };
  return { status: request.status, headers, text: async () => request.responseText };
}

export const blobOf = (content, type) => new NativeBlob(content, type);

const { Blob } = globalThis;
const NATIVE = {
  AbortController: NativeController,
  AbortSignal: NativeSignal,
  Blob: NativeBlob,
  File: undefined,
  FileReader: NativeReader,
  XMLHttpRequest: NativeRequest,
  fetch: nativeFetch,
  crypto: undefined,
};
for (const [name, value] of Object.entries(NATIVE)) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
