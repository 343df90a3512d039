// A conversation whose messages carry media.

import { byId, countText, element } from "./text.js";

const CONVERSATION = "demo";

export class Chat {
  #account;
  #uploads;
  #shown = "";

  constructor(account, uploads) {
    this.#account = account;
    this.#uploads = uploads;
  }

  async send() {
    const sent = this.#uploads.ready;
    const content = byId("content").value;
    await this.#account.require().sendMessage({
      conversation_id: CONVERSATION,
      content,
      media_ids: sent.map((upload) => upload.media.media_id),
      message_type: sent.length ? sent[0].media.media_type : "text",
    });
    this.#uploads.forget(sent);
    byId("content").value = "";
    await this.refresh();
  }

  showAttached() {
    const count = this.#uploads.ready.length;
    byId("attached").textContent = count ? `with ${countText(count, "file")}` : "";
  }

  async refresh() {
    const { client } = this.#account;
    if (client === null) return;
    const { items } = await client.messages(CONVERSATION, { limit: 20 });
    // Pictures that are shown are not fetched again under another signature.
    const ids = items.map((message) => message.message_id).join();
    if (ids === this.#shown) return;
    this.#shown = ids;
    byId("messages").replaceChildren(...items.map(messageElement));
  }
}

function messageElement(message) {
  const sent = new Date(message.sent_at);
  return element("li", {},
    element("strong", { textContent: `${message.sender}: ` }), message.content, " ",
    element("time", { dateTime: message.sent_at, textContent: sent.toLocaleTimeString([], { timeStyle: "short" }) }),
    ...message.media.map((media) => element("div", { className: "media" }, mediaElement(media))));
}

function mediaElement({ media_type: type, url, file_name: name, width, height }) {
  if (!url) return `${name} (no longer there)`;
  const size = width && height ? { width, height } : {};
  if (type === "image") return element("img", { src: url, alt: name, loading: "lazy", ...size });
  if (type === "video") return element("video", { src: url, controls: true, preload: "metadata", ariaLabel: name });
  if (type === "audio") return element("audio", { src: url, controls: true, preload: "none", ariaLabel: name });
  return element("a", { href: url, textContent: name });
}
