// Bounded parallelism.

import { abortReason, linkedController, throwIfAborted } from "./abort.js";

// Calls `work(item, signal)` for all items, at most `parallel` at a time. The first failure stops the others; it is
// thrown when all have stopped.
export async function allOrNothing(items, parallel, work, signal) {
  const { controller, release } = linkedController(signal);
  const failures = [];
  const guarded = async (item) => {
    if (controller.signal.aborted) return;
    try {
      await work(item, controller.signal);
    } catch (error) {
      failures.push(error);
      controller.abort(error);
    }
  };
  try {
    await inLanes(items, parallel, guarded);
  } finally {
    release();
  }
  throwIfAborted(signal);
  if (failures.length > 0) throw failures[0];
}

// Calls `work(item, index)` for all items, at most `parallel` at a time; answers what became of each, in their order, as
// Promise.allSettled does. Once the signal is aborted no other is begun.
export async function settledAll(items, parallel, work, signal) {
  const results = [];
  await inLanes([...items.entries()], parallel, async ([index, item]) => {
    try {
      throwIfAborted(signal);
      results[index] = { status: "fulfilled", value: await work(item, index) };
    } catch (error) {
      results[index] = { status: "rejected", reason: signal?.aborted ? abortReason(signal) : error };
    }
  });
  return results;
}

async function inLanes(items, parallel, work) {
  const queue = items[Symbol.iterator]();
  const lane = async () => {
    for (const item of queue) await work(item);
  };
  const lanes = Math.max(1, Math.min(parallel, items.length));
  await Promise.all(Array.from({ length: lanes }, lane));
}
