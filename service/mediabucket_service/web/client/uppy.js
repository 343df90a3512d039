// An Uppy uploader over the client. Uppy's own class is passed in, so that this file imports nothing:
//
//   import Uppy, { BasePlugin } from "@uppy/core";
//   uppy.use(mediaBucketUploader(BasePlugin), { client, limit: 3 });
//
// Pausing aborts what is on its way; resuming sends the parts that had not arrived. A message of Uppy's own to its user
// is the error's `userMessage`; `cause` is the error itself.

import { linkedController } from "./abort.js";
import { settledAll } from "./pool.js";

export function mediaBucketUploader(BasePlugin) {
  return class MediaBucketUploader extends BasePlugin {
    #runs = new Map();

    constructor(uppy, options) {
      super(uppy, { limit: 3, ...options });
      this.id = this.opts.id ?? "MediaBucketUploader";
      this.type = "uploader";
    }

    install() {
      const { capabilities } = this.uppy.getState();
      this.uppy.setState({ capabilities: { ...capabilities, resumableUploads: true, individualCancellation: true } });
      this.uppy.addUploader(this.#uploadAll);
      for (const [event, listener] of Object.entries(this.#listeners)) this.uppy.on(event, listener);
    }

    uninstall() {
      for (const [event, listener] of Object.entries(this.#listeners)) this.uppy.off(event, listener);
      this.uppy.removeUploader(this.#uploadAll);
      for (const run of this.#runs.values()) run.remove();
    }

    #listeners = {
      "file-removed": (file) => this.#runs.get(file.id)?.remove(),
      "upload-pause": (file, isPaused) => this.#runs.get(file?.id)?.pause(isPaused),
      "pause-all": () => this.#runs.forEach((run) => run.pause(true)),
      "resume-all": () => this.#runs.forEach((run) => run.pause(false)),
    };

    #uploadAll = async (fileIds) => {
      const files = fileIds.map((id) => this.uppy.getFile(id)).filter((file) => file && !file.error);
      const known = files.map((file) => [file, new Run()]);
      known.forEach(([file, run]) => this.#runs.set(file.id, run));
      this.uppy.emit("upload-start", files);
      await settledAll(known, this.opts.limit, ([file, run]) => this.#uploadOne(file, run));
    };

    async #uploadOne(file, run) {
      try {
        const media = await run.carryOut((signal) => this.#sent(file, signal));
        // Removed meanwhile: Uppy knows it no longer.
        if (media === undefined) return;
        const response = { status: 200, body: media, uploadURL: media.url ?? undefined };
        this.uppy.emit("upload-success", this.uppy.getFile(file.id), response);
      } catch (error) {
        const told = new Error(error.userMessage ?? error.message, { cause: error });
        this.uppy.emit("upload-error", this.uppy.getFile(file.id), told);
      } finally {
        if (this.#runs.get(file.id) === run) this.#runs.delete(file.id);
      }
    }

    #sent(file, signal) {
      if (file.isRemote) throw new Error("only files of this device can be uploaded");
      const metadata = this.opts.metadata?.(file);
      const onProgress = (state) => this.#tell(file, state);
      const options = { fileName: file.meta.name ?? file.name, mimeType: file.type, metadata, onProgress, signal };
      return this.opts.client.upload(file.data, options);
    }

    #tell(file, { phase, loaded, total }) {
      const current = this.uppy.getFile(file.id);
      if (!current) return;
      if (phase === "hashing") {
        const progress = { mode: "determinate", message: "", value: total > 0 ? loaded / total : 0 };
        this.uppy.emit("preprocess-progress", current, progress);
        return;
      }
      if (current.progress.preprocess) this.uppy.emit("preprocess-complete", current);
      const uploadStarted = current.progress.uploadStarted ?? Date.now();
      const progress = { uploadStarted, bytesUploaded: loaded, bytesTotal: total };
      this.uppy.emit("upload-progress", this.uppy.getFile(file.id), progress);
    }
  };
}

// One file on its way: begun again after each pause, ended by its removal.
class Run {
  #removed = new AbortController();
  #attempt = null;
  #paused = false;
  #resume = () => {};

  // What `work(signal)` answers, or undefined once the file is removed.
  async carryOut(work) {
    while (!this.#removed.signal.aborted) {
      await this.#resumed();
      const { controller, release } = linkedController(this.#removed.signal);
      this.#attempt = controller;
      try {
        return await work(controller.signal);
      } catch (error) {
        if (!controller.signal.aborted) throw error;
      } finally {
        release();
      }
    }
    return undefined;
  }

  pause(isPaused) {
    this.#paused = isPaused;
    if (isPaused) this.#attempt?.abort();
    else this.#resume();
  }

  remove() {
    this.#removed.abort();
    this.#resume();
  }

  async #resumed() {
    while (this.#paused && !this.#removed.signal.aborted) {
      await new Promise((resolve) => {
        this.#resume = resolve;
      });
    }
  }
}
