// A large file in parts, several at a time. What has arrived before, from another process even, is not sent again.

import { UploadStuck } from "./errors.js";
import { allOrNothing } from "./pool.js";
import { NoPartsExpected } from "./problems.js";
import { withRetries } from "./retry.js";
import { EXPIRED, STORED } from "./transport.js";

// URLs asked for at once: more would expire before they are used.
const URLS_AT_ONCE = 50;
const MAX_REFRESHES = 5;

// Answers STORED when the store holds all parts. Throws what the API and the store refuse.
export async function sendParts(context, file, ticket, progress, signal) {
  const { media_id: mediaId, part_size: partSize } = ticket;
  const missing = await missingParts(context, mediaId, progress, signal);
  const urls = new PartUrls(context, ticket, missing, (part) => pieceOf(file, part, partSize));
  const send = (part, stop) => sendPart(context, urls, part, pieceOf(file, part, partSize), progress, stop);
  await allOrNothing(missing, context.parallelParts, send, signal);
  return STORED;
}

async function missingParts(context, mediaId, progress, signal) {
  try {
    const { parts } = await context.api.parts(mediaId, { signal });
    const arrived = parts.filter((part) => part.arrived);
    progress.sent(new Map(arrived.map((part) => [part.part_number, part.size])));
    return parts.filter((part) => !part.arrived);
  } catch (error) {
    // Another tab has finished it.
    if (error instanceof NoPartsExpected) return [];
    throw error;
  }
}

const pieceOf = (file, { part_number: number, size }, partSize) => {
  const start = (number - 1) * partSize;
  return file.slice(start, start + size);
};

async function sendPart(context, urls, part, piece, progress, signal) {
  const onSent = (bytes) => progress.sent(new Map([[part.part_number, bytes]]));
  for (let refreshes = 0; refreshes <= MAX_REFRESHES; refreshes += 1) {
    const attempt = async () => context.put(await urls.of(part, signal), piece, { onSent, signal });
    const outcome = await withRetries(attempt, { signal, retry: context.retry });
    if (outcome !== EXPIRED) return;
    urls.forget(part);
  }
  throw new UploadStuck(`every URL of part ${part.part_number} had expired`);
}

// The URLs of the parts, from the ticket while they are fresh, then from the API.
class PartUrls {
  #context;
  #mediaId;
  #missing;
  #pieceOf;
  #known = new Map();
  #signed;
  #asking = null;

  constructor(context, ticket, missing, piece) {
    this.#context = context;
    this.#mediaId = ticket.media_id;
    this.#missing = missing;
    this.#pieceOf = piece;
    this.#signed = ticket.parts.some((part) => part.upload_url === null);
    this.#remember(ticket);
  }

  async of(part, signal) {
    for (;;) {
      const known = this.#fresh(part);
      if (known) return known;
      if (this.#signed) this.#remember(await this.#signedUrl(part, signal));
      else await this.#ask(part, signal);
    }
  }

  forget(part) {
    this.#known.delete(part.part_number);
  }

  #fresh(part) {
    const known = this.#known.get(part.part_number);
    return known && !known.isExpired() ? known : null;
  }

  #remember(answer) {
    const isExpired = this.#context.expiryOf(answer);
    for (const { part_number: number, upload_url: url, headers } of answer.parts) {
      if (url !== null) this.#known.set(number, { url, headers, isExpired });
    }
  }

  // One request at a time for all that wait: each looks afterwards whether its own is among the answers.
  async #ask(part, signal) {
    this.#asking ??= this.#unsignedUrls(part, signal).finally(() => {
      this.#asking = null;
    });
    await this.#asking;
  }

  async #unsignedUrls(first, signal) {
    const stale = this.#missing.filter((part) => part.part_number >= first.part_number && !this.#fresh(part));
    const numbers = stale.slice(0, URLS_AT_ONCE).map((part) => part.part_number);
    this.#remember(await this.#context.api.partUrls(this.#mediaId, { part_numbers: numbers }, { signal }));
  }

  // Where uploads are signed, each URL is for the SHA-256 of its part.
  async #signedUrl(part, signal) {
    const checksum = await this.#context.hash(this.#pieceOf(part), { signal });
    const wanted = { parts: [{ part_number: part.part_number, checksum }] };
    return this.#context.api.partUrls(this.#mediaId, wanted, { signal });
  }
}
