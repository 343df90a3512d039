// All files of this visit: a few run at a time, the others wait.

import { Upload } from "./upload.js";
import { byId, countText, sizeText } from "./text.js";

const AT_ONCE = 4;
// A screen reader reads each change aloud.
const SUMMARY_MILLISECONDS = 1_000;

export class Uploads {
  #account;
  #all = new Set();
  #running = 0;
  #changed;
  #cancelled;
  #report;
  #summary = null;

  // `changed()` hears whenever another file may be sent along with a message, `cancelled()` when nothing is left of one;
  // `report(error)` what went wrong.
  constructor(account, { changed, cancelled, report }) {
    this.#account = account;
    this.#changed = changed;
    this.#cancelled = cancelled;
    this.#report = report;
    // Those that gave up while there was no network.
    window.addEventListener("online", () => this.#again((upload) => upload.isLost));
  }

  add(files) {
    this.#account.require();
    const heard = {
      changed: () => this.#summarize(),
      wanted: (upload) => this.#again((other) => other === upload),
      removed: (upload) => this.#remove(upload),
    };
    for (const file of files) {
      const upload = new Upload(file, heard);
      this.#all.add(upload);
      byId("uploads").append(upload.view);
    }
    this.#fill();
  }

  get ready() {
    return [...this.#all].filter((upload) => upload.state === "done");
  }

  get areUnderWay() {
    return [...this.#all].some((upload) => ["running", "waiting"].includes(upload.state));
  }

  // Paused and failed ones, too: what was announced of them is pending.
  get areUnfinished() {
    return [...this.#all].some((upload) => upload.state !== "done");
  }

  // They are in a message now.
  forget(uploads) {
    for (const upload of uploads) {
      this.#all.delete(upload);
      upload.view.remove();
    }
    this.#summarize();
  }

  #again(chosen) {
    for (const upload of this.#all) {
      if (!["running", "done"].includes(upload.state) && chosen(upload)) upload.wait();
    }
    this.#fill();
  }

  #remove(upload) {
    const next = upload.view.nextElementSibling ?? upload.view.previousElementSibling;
    const wasDone = upload.state === "done";
    this.forget([upload]);
    // Otherwise the keyboard would be sent back to the top of the page.
    (next?.querySelector("button:not([hidden])") ?? byId("files")).focus();
    if (!wasDone) upload.cancel(this.#account.client).then(this.#cancelled).catch(this.#report);
  }

  #fill() {
    for (const upload of this.#all) {
      if (this.#running >= AT_ONCE) break;
      if (upload.state === "waiting") this.#run(upload);
    }
    this.#summarize();
  }

  async #run(upload) {
    this.#running += 1;
    try {
      await upload.run(this.#account.require());
    } catch (error) {
      this.#report(error);
    } finally {
      this.#running -= 1;
      this.#fill();
    }
  }

  #summarize() {
    this.#changed();
    this.#summary ??= setTimeout(() => {
      this.#summary = null;
      this.#showSummary();
    }, SUMMARY_MILLISECONDS);
  }

  #showSummary() {
    const all = [...this.#all];
    const total = sum(all.map((upload) => upload.file.size));
    const loaded = sum(all.map((upload) => (upload.state === "done" ? upload.file.size : upload.loaded)));
    const failed = all.filter((upload) => upload.state === "failed").length;
    byId("overall").hidden = all.length === 0;
    byId("overall-progress").value = total ? loaded / total : 0;
    byId("summary").textContent = `${this.ready.length} of ${countText(all.length, "file")} uploaded`
      + (failed ? `, ${failed} failed` : "") + `, ${sizeText(loaded)} of ${sizeText(total)}`;
  }
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
