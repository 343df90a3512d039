// One file on its way, and what the list shows of it.

import { MediaBucketError, NetworkFailure } from "/client/mediabucket.js";

import { element, sizeText } from "./text.js";

const PHASES = { hashing: "reading", uploading: "uploading", confirming: "being verified", done: "uploaded" };
const PAUSED = "paused: a large file goes on where it was, a small one begins anew";
// A vector image may hold a script, and a browser shows no other types.
const SHOWN = /^image\/(png|jpeg|gif|webp|avif|bmp)$/;

export class Upload {
  // waiting, running, paused, failed, done, cancelled
  state = "waiting";
  media = null;
  error = null;
  loaded = 0;
  #abort = null;
  #checksum = null;
  #sent = false;

  // `changed(upload)` hears of every change; `wanted(upload)` when a person wants it to go on.
  constructor(file, { changed, wanted, removed }) {
    this.file = file;
    this.#changed = () => {
      this.#show();
      changed(this);
    };
    this.view = this.#build(wanted, removed);
    this.#show();
  }

  #changed;
  #parts;

  async run(client) {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    Object.assign(this, { state: "running", error: null });
    this.#changed();
    try {
      const hashed = (bytes) => this.#progressed({ phase: "hashing", loaded: bytes });
      this.#checksum ??= await client.checksum(this.file, { signal, onBytes: hashed });
      const onProgress = (progress) => this.#progressed(progress);
      this.media = await client.upload(this.file, { checksum: this.#checksum, signal, onProgress });
      this.state = "done";
    } catch (error) {
      if (signal.aborted) return;
      Object.assign(this, { state: "failed", error });
    } finally {
      this.#changed();
    }
  }

  // Until there is room for it.
  wait() {
    this.state = "waiting";
    this.#changed();
  }

  pause() {
    this.state = "paused";
    this.#abort?.abort();
    this.#changed();
  }

  // Nothing stays of it: neither here nor, as far as it was announced, at the service.
  async cancel(client) {
    this.state = "cancelled";
    this.#abort?.abort();
    this.#changed();
    if (this.#checksum === null || client === null) return;
    for (let cursor; cursor !== null; ) {
      const { items, next_cursor: next } = await client.list({ status: "pending", limit: 100, cursor });
      const own = items.filter((media) => media.checksum === this.#checksum);
      await Promise.all(own.map((media) => client.delete(media.media_id)));
      cursor = next;
    }
  }

  get isLost() {
    return this.state === "failed" && this.error instanceof NetworkFailure;
  }

  #progressed({ phase, loaded }) {
    this.#sent ||= phase === "uploading";
    if (phase !== "hashing") this.loaded = loaded;
    this.#parts.progress.value = phase === "hashing" ? 0 : loaded / Math.max(this.file.size, 1);
    this.#tell(PHASES[phase]);
    this.#changed();
  }

  #build(wanted, removed) {
    const { name, size } = this.file;
    const button = (action) => element("button", { type: "button", onclick: action });
    this.#parts = {
      thumbnail: this.#thumbnail(),
      state: element("span", { className: "state" }),
      progress: element("progress", { max: 1, value: 0, ariaLabel: name }),
      pause: button(() => this.pause()),
      resume: button(() => wanted(this)),
      cancel: button(() => removed(this)),
    };
    const { thumbnail, state, progress, pause, resume, cancel } = this.#parts;
    const told = element("div", {}, element("strong", { textContent: name }), ` ${sizeText(size)}`, state);
    return element("li", { className: "upload", tabIndex: -1 }, thumbnail, told,
      element("div", { className: "buttons" }, pause, resume, cancel), progress);
  }

  #thumbnail() {
    if (!SHOWN.test(this.file.type)) {
      return element("span", { className: "thumbnail", ariaHidden: "true", textContent: this.#kind });
    }
    const image = element("img", { className: "thumbnail", alt: "", src: URL.createObjectURL(this.file) });
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    return image;
  }

  // What is written where others have a picture: "MP4".
  get #kind() {
    const ending = this.file.name.split(".").at(-1);
    return ending.length < 5 ? ending.toUpperCase() : "file";
  }

  #show() {
    const { progress, pause, resume, cancel } = this.#parts;
    const focused = document.activeElement;
    this.view.classList.toggle("done", this.state === "done");
    this.view.classList.toggle("failed", this.state === "failed");
    progress.hidden = ["done", "failed", "waiting"].includes(this.state);
    pause.hidden = !["running", "waiting"].includes(this.state);
    resume.hidden = !["paused", "failed"].includes(this.state);
    this.#name(pause, "Pause");
    this.#name(resume, this.state === "failed" ? "Try again" : "Resume");
    this.#name(cancel, this.state === "done" ? "Remove" : "Cancel");
    if (this.state !== "running") this.#tell(this.#stateText());
    if (focused?.hidden && [pause, resume].includes(focused)) this.#keepFocus();
  }

  // Whoever speaks to the computer says what is written: the name begins with it (WCAG 2.2, 2.5.3).
  #name(button, verb) {
    if (button.textContent === verb) return;
    button.textContent = verb;
    button.ariaLabel = `${verb} ${this.file.name}`;
  }

  // The button that had it is hidden; the keyboard would be sent back to the top of the page. Never to Remove: a key
  // that was meant for Pause would press it.
  #keepFocus() {
    const { pause, resume } = this.#parts;
    ([pause, resume].find((button) => !button.hidden) ?? this.view).focus();
  }

  #stateText() {
    if (this.state === "failed") return sentence(this.error);
    if (this.state === "done") return this.#sent ? "uploaded" : "was there already: nothing was sent";
    return this.state === "paused" ? PAUSED : this.state;
  }

  #tell(text) {
    if (this.#parts.state.textContent !== text) this.#parts.state.textContent = text;
  }
}

// What a person can do about it; and for whoever is developing, what the API said.
export function sentence(error) {
  if (error instanceof NetworkFailure && /store/.test(error.message)) {
    return `The store did not answer this page. If it is up, ${location.origin} must be among the MediaBucket's`
      + " spec.cors.allowedOrigins.";
  }
  if (!(error instanceof MediaBucketError)) return error.message;
  return error.detail ? `${error.userMessage} (${error.detail})` : error.userMessage;
}
