// Hashes in ways that a test asks for: node hashing.mjs '{"library": ..., "action": ...}'.

import { createHash, randomBytes } from "node:crypto";
import { openAsBlob, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const asked = JSON.parse(process.argv[2]);
const { Sha256 } = await import(new URL("./sha256.js", asked.library));
const { hashInline } = await import(new URL("./hash_file.js", asked.library));
const { createClient } = await import(asked.library);

const reference = (bytes) => createHash("sha256").update(bytes).digest("hex");
const upTo = (most) => Math.floor(Math.random() * (most + 1));

// getrusage would tell that of the process that started this one, too.
const peakBytes = () => 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))[1]);

function inPieces(bytes, longest) {
  const hash = new Sha256();
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + upTo(longest));
    hash.update(bytes.subarray(start, end));
    start = end;
  }
  return hash.digest();
}

const ACTIONS = {
  // Every length around the edges of blocks, and random ones, cut at random; the wrong ones are told.
  random() {
    const lengths = [...Array(260).keys()].concat(...Array.from({ length: 200 }, () => upTo(20_000)));
    const wrong = [];
    for (const length of lengths) {
      const bytes = randomBytes(length);
      const longest = 1 + upTo(200);
      if (inPieces(bytes, longest) !== reference(bytes)) wrong.push({ bytes: bytes.toString("hex"), longest });
    }
    return { tried: lengths.length, wrong };
  },

  finished() {
    const hash = new Sha256();
    const twice = [hash.digest(), hash.digest()];
    try {
      hash.update(new Uint8Array(1));
    } catch (error) {
      return { twice, message: error.message };
    }
    return { twice };
  },

  // The memory that this process has needed at most, in bytes.
  async file() {
    const client = createClient({ baseUrl: "http://127.0.0.1:9", token: "none" });
    let told = 0;
    const started = performance.now();
    const digest = await client.checksum(await openAsBlob(asked.path), { onBytes: (bytes) => (told = bytes) });
    const seconds = (performance.now() - started) / 1000;
    return { digest, told, seconds, peakBytes: peakBytes() };
  },

  async faster() {
    const { createSHA256 } = await import(pathToFileURL(createRequire(`${asked.npm}/`).resolve("hash-wasm")));
    let made = 0;
    const counted = () => {
      made += 1;
      return createSHA256();
    };
    const client = createClient({ baseUrl: "http://127.0.0.1:9", token: "none", createHash: counted });
    return { digest: await client.checksum(await openAsBlob(asked.path)), made };
  },

  // A blob as React Native has it: nothing but size and slice, read as a data URL.
  async native() {
    const whole = Buffer.from(randomBytes(5_000_000));
    const blobOf = (bytes) => ({ size: bytes.length, bytes, slice: (start, end) => blobOf(bytes.subarray(start, end)) });
    globalThis.FileReader = class {
      readAsDataURL(blob) {
        this.result = `data:application/octet-stream;base64,${blob.bytes.toString("base64")}`;
        setTimeout(() => this.onload());
      }
    };
    return { same: (await hashInline(blobOf(whole))) === reference(whole) };
  },

  async unreadable() {
    const broken = { size: 1, slice: () => ({ arrayBuffer: () => Promise.reject(new Error("gone")) }) };
    const error = await hashInline(broken).catch((caught) => caught);
    return { name: error.name, userMessage: error.userMessage };
  },
};

console.log(JSON.stringify(await ACTIONS[asked.action]()));
