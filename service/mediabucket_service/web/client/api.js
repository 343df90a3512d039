// The calls of the upload API. What is worth it is tried again; every refusal is a Problem.

import { linkedController, throwIfAborted } from "./abort.js";
import { NetworkFailure, UsageError } from "./errors.js";
import { ConfirmInProgress, Unauthenticated, problemOf } from "./problems.js";
import { DEFAULT_RETRY, pause, retryAfterSeconds, withRetries } from "./retry.js";

// How long to ask whether a large file is verified, and how often when the service does not say.
const VERIFICATION_MINUTES = 60;
const ASK_AGAIN_SECONDS = 2;

export class Api {
  #baseUrl;
  #getToken;
  #fetch;
  #retry;
  #timeoutMilliseconds;

  constructor({ baseUrl, token, getToken, fetch, retry = DEFAULT_RETRY, timeoutMilliseconds = 60_000 }) {
    if (typeof baseUrl !== "string") throw new UsageError("createClient needs the API's address as baseUrl");
    if ((token === undefined) === (getToken === undefined)) {
      throw new UsageError("createClient needs either token or getToken");
    }
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#getToken = getToken ?? (() => token);
    this.#fetch = fetch ?? ((...request) => globalThis.fetch(...request));
    this.#retry = retry;
    this.#timeoutMilliseconds = timeoutMilliseconds;
  }

  initiate(announcement, options) {
    return this.#settled("POST", "/api/media/upload/initiate", announcement, options);
  }

  // Which parts of a large file have arrived.
  parts(mediaId, options) {
    return this.#body("GET", `${mediaPath(mediaId)}/parts`, undefined, options);
  }

  // Fresh URLs: `wanted` is {part_numbers} or, where uploads are signed, {parts: [{part_number, checksum}]}.
  partUrls(mediaId, wanted, options) {
    return this.#body("POST", `${mediaPath(mediaId)}/parts`, wanted, options);
  }

  // The media once it is verified, however long that takes.
  confirm(mediaId, options) {
    return this.#settled("POST", `${mediaPath(mediaId)}/confirm`, undefined, options);
  }

  get(mediaId, options) {
    return this.#body("GET", mediaPath(mediaId), undefined, options);
  }

  list({ cursor, limit, status, mediaType, signal } = {}) {
    return this.#body("GET", `/api/media${queryOf({ cursor, limit, status, media_type: mediaType })}`, undefined, { signal });
  }

  async delete(mediaId, options) {
    await this.#body("DELETE", mediaPath(mediaId), undefined, options);
  }

  // The service takes a message once: without an id of its own it could not be told from a repetition.
  sendMessage(message, options) {
    const told = { ...message, client_message_id: message.client_message_id ?? newMessageId() };
    return this.#settled("POST", "/api/messages/send", told, options);
  }

  messages(conversationId, { before, limit, signal } = {}) {
    const query = queryOf({ conversation_id: conversationId, before, limit });
    return this.#body("GET", `/api/messages${query}`, undefined, { signal });
  }

  async #body(method, path, body, options) {
    return (await this.#call(method, path, body, options)).body;
  }

  // Asks again, when the service says so, while a file is being verified.
  async #settled(method, path, body, { signal } = {}) {
    const deadline = Date.now() + VERIFICATION_MINUTES * 60_000;
    for (;;) {
      const answer = await this.#call(method, path, body, { signal }).catch((error) => {
        if (!(error instanceof ConfirmInProgress) || Date.now() > deadline) throw error;
        return { status: 202, retryAfterSeconds: error.retryAfterSeconds };
      });
      if (answer.status !== 202) return answer.body;
      if (Date.now() > deadline) throw stillVerifying();
      await pause(1000 * (answer.retryAfterSeconds ?? ASK_AGAIN_SECONDS), signal);
    }
  }

  #call(method, path, body, { signal } = {}) {
    const attempt = () => this.#authenticated(method, path, body, signal);
    return withRetries(attempt, { signal, retry: this.#retry });
  }

  // A long upload outlives its token: getToken is asked for a new one, and a refused one is never sent twice.
  async #authenticated(method, path, body, signal) {
    const token = await this.#getToken({ refused: null });
    try {
      return await this.#once(method, path, body, token, signal);
    } catch (error) {
      if (!(error instanceof Unauthenticated)) throw error;
      const renewed = await this.#getToken({ refused: token });
      if (!renewed || renewed === token) throw error;
      return await this.#once(method, path, body, renewed, signal);
    }
  }

  async #once(method, path, body, token, signal) {
    const { status, text, headers } = await this.#exchange(method, path, body, token, signal);
    const parsed = parsedJson(text);
    const seconds = retryAfterSeconds(headers.get("Retry-After"));
    if (status >= 400) throw problemOf(status, parsed, { retryAfterSeconds: seconds });
    // A captive portal, or a proxy with a page of its own.
    if (parsed === undefined && text !== "") throw new NetworkFailure("something other than the API answered");
    return { status, body: parsed, retryAfterSeconds: seconds };
  }

  async #exchange(method, path, body, token, signal) {
    const { controller, release } = linkedController(signal);
    const timer = setTimeout(() => controller.abort(), this.#timeoutMilliseconds);
    const headers = { Authorization: `Bearer ${token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    try {
      const request = { method, headers, body: body && JSON.stringify(body), signal: controller.signal };
      const response = await this.#fetch(this.#baseUrl + path, request);
      return { status: response.status, text: await response.text(), headers: response.headers };
    } catch (error) {
      throwIfAborted(signal);
      throw new NetworkFailure(`the API cannot be reached: ${error?.message ?? error}`);
    } finally {
      clearTimeout(timer);
      release();
    }
  }
}

function stillVerifying() {
  return problemOf(409, {
    type: `urn:mediabucket:problem:${ConfirmInProgress.slug}`,
    detail: `the file is not verified after ${VERIFICATION_MINUTES} minutes; confirm it again later`,
  });
}

const mediaPath = (mediaId) => `/api/media/${encodeURIComponent(mediaId)}`;

function queryOf(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  return given.map(([name, value], index) => `${index ? "&" : "?"}${name}=${encodeURIComponent(value)}`).join("");
}

function parsedJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// Unique, not secret: randomUUID exists only on pages served over TLS.
function newMessageId() {
  const digits = () => Math.random().toString(36).slice(2, 12).padEnd(10, "0");
  return globalThis.crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${digits()}${digits()}`;
}
