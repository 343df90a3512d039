// Numbers and elements as people read them.

const UNITS = ["bytes", "KB", "MB", "GB"];

// 1,536 is "1.5 KB".
export function sizeText(bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  const number = bytes / 1024 ** power;
  return `${power === 0 || number >= 100 ? Math.round(number) : number.toFixed(1)} ${UNITS[power]}`;
}

// 90 is "2 minutes": enough for what is to come.
export function secondsText(seconds) {
  if (seconds < 60) return countText(Math.max(0, Math.round(seconds)), "second");
  return seconds < 7200 ? countText(Math.round(seconds / 60), "minute") : countText(Math.round(seconds / 3600), "hour");
}

export const countText = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

export const byId = (id) => document.getElementById(id);

// An element with properties and children; text is text, never markup.
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
