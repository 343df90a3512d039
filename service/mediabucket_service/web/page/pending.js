// What the service knows to be under way, of this page, of other tabs and devices, and of yesterday.

import { byId, countText, element, secondsText, sizeText } from "./text.js";

export class Pending {
  #account;
  #report;
  #shown = [];

  constructor(account, { report }) {
    this.#account = account;
    this.#report = report;
  }

  get areThere() {
    return this.#shown.length > 0;
  }

  async refresh() {
    const { client } = this.#account;
    if (client === null) return;
    const { items, next_cursor: more } = await client.list({ status: "pending", limit: 50 });
    this.#shown = items;
    if (items.length === 0) leave(byId("pending"));
    byId("pending").hidden = items.length === 0;
    byId("pending-summary").textContent = `${countText(items.length, "pending upload")}${more ? " and more" : ""}`;
    // Replacing it would take the focus away from who is about to press a button of it.
    if (!byId("pending-list").contains(document.activeElement)) {
      byId("pending-list").replaceChildren(...items.map((media) => this.#item(media)));
    }
  }

  #item(media) {
    const discard = element("button", {
      type: "button", textContent: "Discard", ariaLabel: `Discard ${media.file_name}`,
      onclick: () => this.#discard(media),
    });
    return element("li", { className: "pending" },
      element("div", {},
        element("strong", { textContent: media.file_name }),
        element("span", { className: "state", textContent: told(media) })),
      discard);
  }

  async #discard(media) {
    try {
      await this.#account.require().delete(media.media_id);
      byId("pending-summary").focus();
      await this.refresh();
    } catch (error) {
      this.#report(error);
    }
  }
}

// What is about to be hidden would send the keyboard back to the top of the page.
function leave(place) {
  if (place.contains(document.activeElement)) byId("files").focus();
}

// Its size, its age, and how long it has.
function told({ file_size: size, uploaded_at: began, expires_at: ends }) {
  const age = secondsText((Date.now() - Date.parse(began)) / 1000);
  const left = ends ? `, removed in ${secondsText((Date.parse(ends) - Date.now()) / 1000)}` : "";
  return `${sizeText(size)}, announced ${age} ago${left}`;
}
