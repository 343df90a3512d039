// Who uses the page: the token from its address, as `mediabucket dev` prints it, or from its field.

import { createClient } from "/client/mediabucket.js";

import { byId } from "./text.js";

// A person waits in front of this page: what fails for half a minute is told.
const RETRY = { retries: 4, longestMilliseconds: 8_000 };

export class Account {
  #token = "";
  client = null;

  constructor(onChange) {
    const field = byId("token");
    field.value = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
    field.addEventListener("change", () => {
      this.#use(field.value);
      onChange();
    });
    this.#use(field.value);
    byId("account").open = this.client === null;
  }

  // The client, or an error that says what to do first.
  require() {
    if (this.client === null) throw new Error("Sign in first: put a bearer token into the field above.");
    return this.client;
  }

  #use(value) {
    this.#token = value.trim();
    const options = { baseUrl: location.origin, token: this.#token, retry: RETRY };
    this.client = this.#token ? createClient(options) : null;
    byId("who").textContent = this.client ? `Signed in as ${this.#subject()}` : "Not signed in";
  }

  // What the token says; whether it is true is the API's business.
  #subject() {
    try {
      const payload = this.#token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (char) => char.charCodeAt(0)))).sub;
    } catch {
      return "somebody";
    }
  }
}
