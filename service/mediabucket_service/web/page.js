// The page at /: files go to the store by the client that the service serves, and into the messages of a chat.

import { Account } from "./page/account.js";
import { Chat } from "./page/chat.js";
import { Pending } from "./page/pending.js";
import { Poll } from "./page/poll.js";
import { byId } from "./page/text.js";
import { sentence } from "./page/upload.js";
import { Uploads } from "./page/uploads.js";

const REFRESH_MILLISECONDS = 5_000;

const report = (error) => {
  byId("problem").textContent = sentence(error);
};

async function reporting(action) {
  byId("problem").textContent = "";
  try {
    await action();
  } catch (error) {
    report(error);
  }
}

const account = new Account(() => reporting(refresh));
const uploads = new Uploads(account, {
  changed: () => chat.showAttached(),
  cancelled: () => pending.refresh(),
  report,
});
const pending = new Pending(account, { report });
const chat = new Chat(account, uploads);

const refresh = () => Promise.all([chat.refresh(), pending.refresh()]);

byId("files").addEventListener("change", ({ target }) => {
  const chosen = [...target.files];
  target.value = "";
  reporting(() => uploads.add(chosen));
});

// Without this a file that misses the box would replace the page.
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
for (const [name, isOver] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
  byId("drop").addEventListener(name, () => byId("drop").classList.toggle("over", isOver));
}
byId("drop").addEventListener("drop", ({ dataTransfer }) => reporting(() => uploads.add([...dataTransfer.files])));
document.addEventListener("paste", ({ clipboardData }) => {
  if (clipboardData?.files.length) reporting(() => uploads.add([...clipboardData.files]));
});

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const send = byId("send");
  // Not `disabled`, which would take the focus away.
  if (send.ariaDisabled === "true") return;
  send.ariaDisabled = "true";
  reporting(() => chat.send()).finally(() => {
    send.ariaDisabled = "false";
  });
});
// Enter sends, as in any chat; Shift+Enter begins a line.
byId("content").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("composer").requestSubmit();
});
window.addEventListener("beforeunload", (event) => {
  if (uploads.areUnderWay) event.preventDefault();
});

const poll = new Poll(() => {
  const isPending = pending.areThere || uploads.areUnfinished;
  return Promise.all([chat.refresh(), isPending && pending.refresh()]);
}, byId("problem"));
setInterval(() => poll.run(), REFRESH_MILLISECONDS);
// Somebody is back: what is pending may have begun elsewhere, and URLs have grown old.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") reporting(refresh);
});
reporting(refresh);
