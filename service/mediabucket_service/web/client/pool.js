// Bounded parallelism.

import { linkedController, throwIfAborted } from "./abort.js";

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
// Promise.allSettled does, and tells `onSettled(outcome, item, index)`. Once the signal is aborted no other is begun.
export async function settledAll(items, parallel, work, { signal, onSettled } = {}) {
  const outcomes = [];
  await inLanes([...items.entries()], parallel, async ([index, item]) => {
    outcomes[index] = await settled(async () => {
      throwIfAborted(signal);
      return work(item, index);
    });
    onSettled?.(outcomes[index], item, index);
  });
  return outcomes;
}

async function settled(action) {
  try {
    return { status: "fulfilled", value: await action() };
  } catch (reason) {
    return { status: "rejected", reason };
  }
}

async function inLanes(items, parallel, work) {
  const queue = items[Symbol.iterator]();
  const lane = async () => {
    for (const item of queue) await work(item);
  };
  const lanes = Math.max(1, Math.min(parallel, items.length));
  await Promise.all(Array.from({ length: lanes }, lane));
}
