// Media as people see and hear them, under URLs that live for a few minutes only.

import { element } from "./text.js";

// The newest URL of each element.
const newest = new WeakMap();

export function mediaElement(media) {
  const made = built(media);
  newest.set(made, media.url);
  made.addEventListener("error", () => loadAgain(made));
  return made;
}

// The service has signed another URL. What is loaded stays as it is: the same bytes are not fetched again.
export function renew(made, url) {
  if (!url) return;
  newest.set(made, url);
  if (made instanceof HTMLAnchorElement) made.href = url;
}

// The URL may have expired before a picture was scrolled to, or a film was played to its end.
function loadAgain(made) {
  const url = newest.get(made);
  if (!url || made.getAttribute("src") === url) return;
  const isPlayer = made instanceof HTMLMediaElement;
  const wasPlaying = isPlayer && !made.paused;
  const at = isPlayer ? made.currentTime : 0;
  made.src = url;
  if (at > 0) made.currentTime = at;
  // An interrupted play() rejects; the controls are there to begin again.
  if (wasPlaying) made.play().catch(() => {});
}

function built({ media_type: type, url, file_name: name, width, height }) {
  if (!url) return element("span", { textContent: `${name} (no longer there)` });
  const size = width && height ? { width, height } : {};
  if (type === "image") return element("img", { src: url, alt: name, loading: "lazy", ...size });
  if (type === "video") return element("video", { src: url, controls: true, preload: "metadata", ariaLabel: name });
  if (type === "audio") return element("audio", { src: url, controls: true, preload: "none", ariaLabel: name });
  return element("a", { href: url, textContent: name, target: "_blank", rel: "noopener" });
}
