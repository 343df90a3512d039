// The page at /: files go to the store by the client that the service serves, and into the messages of a chat.

import { Account } from "./page/account.js";
import { Chat } from "./page/chat.js";
import { Pending } from "./page/pending.js";
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
const uploads = new Uploads(account, { changed: () => chat.showAttached(), report });
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
  byId("send").disabled = true;
  reporting(() => chat.send()).finally(() => {
    byId("send").disabled = false;
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

// What others write, and what is pending; nobody is asked for a page that nobody sees.
setInterval(() => {
  if (document.visibilityState === "visible") refresh().catch(report);
}, REFRESH_MILLISECONDS);
reporting(refresh);
