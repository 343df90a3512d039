// SHA-256, piece by piece: WebCrypto hashes only what is whole in memory.
// FIPS 180-4, https://csrc.nist.gov/pubs/fips/180-4/upd1/final

const BLOCK_BYTES = 64;
const LENGTH_BYTES = 8;

const INITIAL_STATE = Int32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);
const ROUND_CONSTANTS = Int32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);

export class Sha256 {
  #state = INITIAL_STATE.slice();
  #words = new Int32Array(64);
  // What has not filled a block yet.
  #rest = new Uint8Array(BLOCK_BYTES);
  #restBytes = 0;
  #totalBytes = 0;
  #digest = null;

  // Adds the bytes of a Uint8Array; answers itself.
  update(bytes) {
    if (this.#digest) throw new Error("this SHA-256 is finished: make a new one");
    this.#totalBytes += bytes.length;
    let start = 0;
    if (this.#restBytes > 0) {
      start = Math.min(bytes.length, BLOCK_BYTES - this.#restBytes);
      this.#rest.set(bytes.subarray(0, start), this.#restBytes);
      this.#restBytes += start;
      if (this.#restBytes < BLOCK_BYTES) return this;
      this.#compress(this.#rest, 0, BLOCK_BYTES);
    }
    const end = bytes.length - ((bytes.length - start) % BLOCK_BYTES);
    this.#compress(bytes, start, end);
    this.#rest.set(bytes.subarray(end));
    this.#restBytes = bytes.length - end;
    return this;
  }

  // The 32 bytes; from then on nothing can be added.
  bytes() {
    this.#digest ??= this.#finish();
    return this.#digest.slice();
  }

  // The digest as 64 hexadecimal digits.
  digest() {
    return toHex(this.bytes());
  }

  #finish() {
    const padded = this.#restBytes + 1 + LENGTH_BYTES > BLOCK_BYTES ? 2 * BLOCK_BYTES : BLOCK_BYTES;
    const tail = new Uint8Array(padded);
    tail.set(this.#rest.subarray(0, this.#restBytes));
    tail[this.#restBytes] = 0x80;
    const view = new DataView(tail.buffer);
    // The length in bits has 64 bits; those of a number hold 2 ** 53 bytes.
    view.setUint32(padded - 8, Math.floor(this.#totalBytes / 2 ** 29));
    view.setUint32(padded - 4, (this.#totalBytes * 8) % 2 ** 32);
    this.#compress(tail, 0, padded);
    const digest = new DataView(new ArrayBuffer(32));
    this.#state.forEach((word, index) => digest.setInt32(4 * index, word));
    return new Uint8Array(digest.buffer);
  }

  #compress(bytes, start, end) {
    const words = this.#words;
    const state = this.#state;
    for (let offset = start; offset < end; offset += BLOCK_BYTES) {
      schedule(words, bytes, offset);
      mix(state, words);
    }
  }
}

export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function schedule(words, bytes, offset) {
  for (let index = 0, at = offset; index < 16; index += 1, at += 4) {
    words[index] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  }
  for (let index = 16; index < 64; index += 1) {
    const early = words[index - 15];
    const late = words[index - 2];
    const sigma0 = ((early >>> 7) | (early << 25)) ^ ((early >>> 18) | (early << 14)) ^ (early >>> 3);
    const sigma1 = ((late >>> 17) | (late << 15)) ^ ((late >>> 19) | (late << 13)) ^ (late >>> 10);
    words[index] = (words[index - 16] + sigma0 + words[index - 7] + sigma1) | 0;
  }
}

function mix(state, words) {
  // Taking the array apart instead would call its iterator for each block, and take twice as long.
  let a = state[0];
  let b = state[1];
  let c = state[2];
  let d = state[3];
  let e = state[4];
  let f = state[5];
  let g = state[6];
  let h = state[7];
  for (let round = 0; round < 64; round += 1) {
    const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const choice = (e & f) ^ (~e & g);
    const first = (h + sum1 + choice + ROUND_CONSTANTS[round] + words[round]) | 0;
    const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const majority = (a & b) ^ (a & c) ^ (b & c);
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + sum0 + majority) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}
