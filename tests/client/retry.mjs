// What the client waits between tries: node retry.mjs LIBRARY '{"retry", "cases": [[attempt, retryAfterSeconds, random]],
// "failures": [retryAfterSeconds], "random"}'. The clock is this program's own: no timer takes any time.

const [library, text] = process.argv.slice(2);
const { delayMilliseconds, withRetries } = await import(library);
const { retry, cases, failures, random } = JSON.parse(text);

const waited = [];
globalThis.setTimeout = (action, milliseconds) => {
  waited.push(milliseconds);
  queueMicrotask(action);
};

// Fails as often as told, and answers then.
async function action(attempt) {
  if (attempt < failures.length) throw { retryable: true, retryAfterSeconds: failures[attempt] };
  return attempt;
}

const options = { retry, ...(random !== undefined && { random: () => random }) };
console.log(JSON.stringify({
  delays: cases.map(([attempt, seconds, share]) => delayMilliseconds(attempt, seconds, retry, () => share)),
  answer: await withRetries(action, options).catch(() => "gave up"),
  waited,
}));
