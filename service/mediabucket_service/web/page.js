// The upload flow of a chat front end: hash, initiate, PUT to the store, refer to it in a message.

const CONVERSATION = "demo";
const byId = (id) => document.getElementById(id);
const pendingMedia = new Map();

byId("token").value = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: { Authorization: `Bearer ${byId("token").value.trim()}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  // A large file is still being verified.
  if (response.status === 202) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(response.headers.get("Retry-After") ?? 2)));
    return call(method, path, body);
  }
  return answer;
}

async function sha256(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// XMLHttpRequest, because fetch cannot tell how much of a body has been sent.
function put(ticket, file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(ticket.method, ticket.upload_url);
    for (const [name, value] of Object.entries(ticket.headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Error("the store cannot be reached"));
    // 412: these very bytes are there already.
    request.onload = () => request.status < 300 || request.status === 412 ? resolve() : reject(new Error(`the store answered ${request.status}`));
    request.send(file);
  });
}

async function upload(file) {
  const item = document.createElement("li");
  const state = document.createElement("span");
  const progress = document.createElement("progress");
  progress.max = 1;
  item.append(`${file.name} `, state, progress);
  byId("uploads").append(item);
  try {
    state.textContent = "hashing";
    const checksum = await sha256(file);
    const ticket = await call("POST", "/api/media/upload/initiate", {
      file_name: file.name, file_size: file.size, mime_type: file.type, checksum,
    });
    if (!ticket.exists) {
      state.textContent = "uploading";
      await put(ticket, file, (share) => { progress.value = share; });
      await call("POST", `/api/media/${ticket.media_id}/confirm`);
    }
    progress.value = 1;
    state.textContent = ticket.exists ? "was there already" : "uploaded";
    pendingMedia.set(ticket.media_id, item);
  } catch (error) {
    state.textContent = error.message;
    progress.remove();
  }
}

function mediaElement(media) {
  if (media.media_type === "image" && media.url) {
    const image = new Image();
    image.src = media.url;
    image.alt = media.file_name;
    return image;
  }
  const link = document.createElement("a");
  link.href = media.url ?? "#";
  link.textContent = media.file_name;
  return link;
}

async function showMessages() {
  if (!byId("token").value) return;
  const page = await call("GET", `/api/messages?conversation_id=${CONVERSATION}`);
  byId("messages").replaceChildren(...page.items.map((message) => {
    const item = document.createElement("li");
    const sender = document.createElement("strong");
    sender.textContent = `${message.sender}: `;
    item.append(sender, message.content, ...message.media.map(mediaElement));
    return item;
  }));
}

async function reporting(action) {
  byId("problem").textContent = "";
  try {
    await action();
  } catch (error) {
    byId("problem").textContent = error.message;
  }
}

byId("files").addEventListener("change", async (event) => {
  await Promise.all([...event.target.files].map(upload));
  event.target.value = "";
});

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  reporting(async () => {
    await call("POST", "/api/messages/send", {
      conversation_id: CONVERSATION, content: byId("content").value, media_ids: [...pendingMedia.keys()], message_type: "text",
    });
    pendingMedia.forEach((item) => item.remove());
    pendingMedia.clear();
    byId("content").value = "";
    await showMessages();
  });
});

byId("token").addEventListener("change", () => reporting(showMessages));
reporting(showMessages);
