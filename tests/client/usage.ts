// Compiled by tsc in strict mode, never run: what the declarations must allow, and what they must refuse.

import Uppy, { BasePlugin } from "@uppy/core";
import { createSHA256 } from "hash-wasm";
import {
  createClient,
  FileTooLarge,
  MediaBucketError,
  MediaInUse,
  PROBLEMS,
  Problem,
  Sha256,
  StoreRefused,
  type Client,
  type Media,
  type Settled,
} from "mediabucket-client";
import { mediaBucketUploader } from "mediabucket-client/uppy";

const controller = new AbortController();
const client: Client = createClient({ baseUrl: "https://media.example.com", token: "…", createHash: createSHA256 });
createClient({
  baseUrl: "",
  getToken: async ({ refused }) => (refused === null ? "first" : "second"),
  retry: { retries: 3 },
  parallelParts: 2,
  fetch,
});
createClient({ baseUrl: "", token: "", createHash: () => new Sha256() });

export async function everything(file: File): Promise<string | null> {
  const media: Media = await client.upload(file, {
    signal: controller.signal,
    metadata: { album: "summer" },
    onProgress: ({ phase, loaded, total }) => console.log(phase, (100 * loaded) / total),
  });
  const sent = await client.upload(file, { conversation: "general", content: "look!" });
  const sender: string = sent.message.sender;
  const outcomes: Settled[] = await client.uploadMany([file], {
    parallel: 2,
    onProgress: ({ allLoaded, allTotal, index }) => console.log(index, allLoaded / allTotal),
    onSettled: (outcome) => outcome.status === "rejected" && console.log(outcome.reason),
  });
  const ids = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.media_id] : []));
  await client.sendMessage({ conversation_id: sender, media_ids: ids });
  const page = await client.list({ mediaType: "video", status: "completed", cursor: null });
  const { parts } = await client.parts(media.media_id);
  await client.delete(page.items[0]?.media_id ?? "");
  return parts.every((part) => part.arrived) ? (await client.get(media.media_id)).url : client.checksum(file);
}

export function sentenceOf(error: unknown): string {
  if (error instanceof FileTooLarge) return error.detail;
  if (error instanceof MediaInUse || error instanceof StoreRefused) return `${error.status} ${error.userMessage}`;
  if (error instanceof Problem) return error.slug ?? error.type;
  return error instanceof MediaBucketError ? error.userMessage : String(error);
}

export const slugs: string[] = PROBLEMS.map((problem) => problem.slug);

new Uppy().use(mediaBucketUploader(BasePlugin), { client, limit: 2, metadata: (file) => ({ name: file.name ?? "" }) });

// @ts-expect-error: a client needs to know where the service is
createClient({ token: "…" });
// @ts-expect-error: a path is no file
client.upload("/home/me/picture.png");
// @ts-expect-error: no such status
client.list({ status: "done" });
// @ts-expect-error: which message would it be?
client.uploadMany([], { conversation: "general" });
// @ts-expect-error: a message belongs to a conversation
client.sendMessage({ content: "hello" });
// @ts-expect-error: the plugin needs a client
new Uppy().use(mediaBucketUploader(BasePlugin), { limit: 2 });
// @ts-expect-error: an upload without a conversation sends no message
client.upload(new Blob()).then((media) => media.message);
