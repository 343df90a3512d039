// A conversation whose messages carry media.

import { mediaElement, renew } from "./media.js";
import { byId, countText, element } from "./text.js";

const CONVERSATION = "demo";
const SHOWN_MESSAGES = 20;
// The API's limit: see POST /api/messages/send.
const MEDIA_PER_MESSAGE = 50;

export class Chat {
  #account;
  #uploads;
  // What is shown of each message, by its id.
  #shown = new Map();
  #asked = 0;
  #answered = 0;

  constructor(account, uploads) {
    this.#account = account;
    this.#uploads = uploads;
  }

  // The text and all that is uploaded: one message, or more for more than one can carry.
  async send() {
    const client = this.#account.require();
    const { ready } = this.#uploads;
    do {
      const sent = ready.splice(0, MEDIA_PER_MESSAGE);
      await client.sendMessage(newMessage(byId("content").value, sent.map((upload) => upload.media)));
      byId("content").value = "";
      this.#uploads.forget(sent);
    } while (ready.length);
    await this.refresh();
  }

  showAttached() {
    const count = this.#uploads.ready.length;
    byId("attached").textContent = count ? `with ${countText(count, "file")}` : "";
  }

  // Only what is new is added: a film that plays goes on, and a screen reader reads nothing twice.
  async refresh() {
    const { client } = this.#account;
    if (client === null) return;
    const turn = (this.#asked += 1);
    const { items } = await client.messages(CONVERSATION, { limit: SHOWN_MESSAGES });
    // An answer that a later one has overtaken would take away what was just sent.
    if (turn < this.#answered) return;
    this.#answered = turn;
    this.#show(items);
  }

  #show(items) {
    const list = byId("messages");
    this.#forgetAllBut(new Set(items.map((message) => message.message_id)));
    const added = items.filter((message) => !this.#shown.has(message.message_id));
    list.prepend(...added.map((message) => this.#add(message)));
    for (const { message_id: id, media } of items) {
      this.#shown.get(id).media.forEach((shown, index) => renew(shown, media[index]?.url));
    }
    // Those that were there before are not news.
    list.ariaLive = "polite";
  }

  #add(message) {
    const media = message.media.map(mediaElement);
    const view = messageElement(message, media);
    this.#shown.set(message.message_id, { view, media });
    return view;
  }

  #forgetAllBut(ids) {
    for (const [id, { view }] of this.#shown) {
      if (ids.has(id)) continue;
      view.remove();
      this.#shown.delete(id);
    }
  }
}

function newMessage(content, media) {
  return {
    conversation_id: CONVERSATION,
    content,
    media_ids: media.map((one) => one.media_id),
    message_type: media.length ? media[0].media_type : "text",
  };
}

function messageElement(message, media) {
  const sent = new Date(message.sent_at);
  return element("li", {},
    element("strong", { textContent: `${message.sender}: ` }), message.content, " ",
    element("time", { dateTime: message.sent_at, textContent: sent.toLocaleTimeString([], { timeStyle: "short" }) }),
    ...media.map((one) => element("div", { className: "media" }, one)));
}
