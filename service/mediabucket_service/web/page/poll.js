// What is asked for again and again: never twice at a time, and not for a page that nobody sees.

import { sentence } from "./upload.js";

export class Poll {
  #ask;
  #place;
  #isRunning = false;
  #told = null;

  // `ask()` answers a promise; what goes wrong is written to the element `place`.
  constructor(ask, place) {
    this.#ask = ask;
    this.#place = place;
  }

  async run() {
    if (this.#isRunning || document.visibilityState !== "visible") return;
    this.#isRunning = true;
    try {
      await this.#ask();
      this.#tell(null);
    } catch (error) {
      this.#tell(sentence(error));
    } finally {
      this.#isRunning = false;
    }
  }

  // Once, not at each try: a screen reader reads it aloud. It goes when the trouble is over, and nothing else with it.
  #tell(text) {
    if (text === this.#told) return;
    if (text !== null || this.#place.textContent === this.#told) this.#place.textContent = text ?? "";
    this.#told = text;
  }
}
