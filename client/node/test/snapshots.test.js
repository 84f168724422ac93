// Write sections, which snapshots see whole or not at all, and versions to wait for.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as shmd from "../index.js";
import { connected, startDaemon, startPeer } from "./support/daemon.js";

/** A segment "shared", as a writer and as a reader have it. */
async function shared(t, sizeBytes = 4096) {
  const daemon = await startDaemon(t);
  const segment = await (await connected(t, daemon)).create("shared", sizeBytes);
  const reader = await (await connected(t, daemon)).open("shared");
  return { daemon, segment, reader };
}

// At once, and in a thread.
for (const sizeBytes of [4096, 2 ** 20]) {
  test(`a snapshot of ${sizeBytes} bytes is never torn`, async (t) => {
    const { daemon, segment, reader } = await shared(t, sizeBytes);
    const peer = await startPeer(t, daemon, "shared");
    await peer.does("startWriting");
    const seen = new Set();
    for (let i = 0; seen.size < 20; i++) {
      const snapshot = await (i % 2 ? segment : reader).snapshot();
      const numbers = new Uint32Array(snapshot.buffer, snapshot.byteOffset, sizeBytes / 4);
      assert.ok(numbers.every((each) => each === numbers[0]), `round ${i}`);
      seen.add(numbers[0]);
    }
    await peer.does("stopWriting");
  });
}

test("a snapshot waits for the end of a section, and gives up when it is told to", async (t) => {
  const { segment, reader } = await shared(t, 2 ** 20);
  segment.write("before");
  const section = await segment.beginWrite();
  segment.write("half", 0);
  for (const length of [6, 2 ** 20]) {
    await assert.rejects(reader.snapshot({ length, timeout: 0 }), shmd.TimeoutError);
    await assert.rejects(reader.snapshot({ length, timeout: 10 }), { name: "TimeoutError", message: /^cannot take a snapshot of segment 'shared': / });
    const signal = AbortSignal.timeout(5);
    await assert.rejects(reader.snapshot({ length, signal }), (error) => error === signal.reason);
  }
  const waiting = [reader.snapshot({ length: 6 }), reader.snapshot(), segment.snapshot({ offset: 1, length: 5 })];
  // read() does not wait.
  assert.equal(reader.read(0, 6).toString(), "halfre");
  segment.write("whole!");
  section.end();
  const [few, all, some] = await Promise.all(waiting);
  assert.deepEqual([few.toString(), all.toString("utf8", 0, 6), all.length, some.toString()], ["whole!", "whole!", 2 ** 20, "hole!"]);
  assert.equal((await reader.snapshot({ offset: 2 ** 20 })).length, 0);
  for (const wrong of [{ offset: -1 }, { offset: 2 ** 20 + 1 }, { length: 2 ** 20 + 1 }, { offset: 1, length: 2 ** 20 }, { length: 0.5 }]) {
    await assert.rejects(reader.snapshot(wrong), RangeError);
  }
});

for (const how of ["in a section", "by the lock"]) {
  test(`a writer that is killed in its section leaves it half written, until somebody repairs that ${how}`, async (t) => {
    const { daemon, segment, reader } = await shared(t, 2 ** 20);
    const peer = await startPeer(t, daemon, "shared");
    await peer.does("writeHalf");
    const waiting = [reader.snapshot({ length: 10 }), reader.snapshot(), segment.snapshot()];
    const results = Promise.allSettled(waiting);
    await peer.kill();
    const died = { name: "OwnerDiedError", code: "EOWNERDEAD", message: /^cannot take a snapshot of segment 'shared': it is half written/ };
    for (const { reason } of await results) assert.throws(() => { throw reason; }, died);
    await assert.rejects(reader.snapshot({ timeout: 0 }), died);

    // Nobody has said that it is whole.
    await segment.withWriteSection((section) => {
      assert.equal(section.ownerDied, true);
      segment.write("careless");
    });
    await assert.rejects(reader.snapshot({ length: 8 }), died);
    const made = how === "in a section" ? await segment.beginWrite() : await segment.lock();
    assert.equal(made.ownerDied, true);
    new Uint8Array(segment.buffer).fill(7);
    made.makeConsistent();
    assert.equal(made.ownerDied, false);
    if (how === "in a section") await assert.rejects(reader.snapshot({ timeout: 0 }), shmd.TimeoutError);
    made.unlock?.();
    made.end?.();
    assert.deepEqual((await reader.snapshot()).equals(Buffer.alloc(2 ** 20, 7)), true);
    assert.equal(await segment.withWriteSection(({ ownerDied }) => ownerDied), false);
  });
}

test("a version counts, and wakes who waits for it in any process", async (t) => {
  const { daemon, segment, reader } = await shared(t);
  await segment.openSyncArea();
  assert.equal(segment.version, 0);
  assert.equal(await segment.notify(), 1);
  // Done when it returns.
  segment.notify();
  assert.equal(segment.version, 2);
  assert.equal(await reader.waitForVersion(0), 2);
  assert.equal(await reader.waitForVersion(1, { timeout: 0 }), 2);
  await assert.rejects(reader.waitForVersion(2, { timeout: 0 }), shmd.TimeoutError);

  const writing = await startPeer(t, daemon, "shared");
  const reading = await startPeer(t, daemon, "shared", "read");
  const told = reading.does("wait", { after: 2 });
  const waiting = [segment.waitForVersion(2), reader.waitForVersion(2), reader.waitForVersion(2, { timeout: 60_000 })];
  let later = 0;
  const afterwards = [reader.waitForVersion(4).then((version) => (later = version)), segment.waitForVersion(3)];
  assert.equal(await writing.does("notify"), 3);
  for (const each of waiting) assert.equal(await each, 3);
  assert.equal(await told, 3);
  assert.equal(await writing.does("notify"), 4);
  assert.ok((await afterwards[1]) >= 4);
  assert.equal(later, 0);
  await segment.notify();
  await afterwards[0];
  assert.equal(later, 5);
  await assert.rejects(reading.does("notify"), /ReadOnlyError/);
  for (const wrong of [-1, 0.5, undefined, "1", 1n]) await assert.rejects(segment.waitForVersion(wrong), RangeError);
});

test("two processes answer each other", async (t) => {
  const { daemon, segment } = await shared(t);
  await (await connected(t, daemon)).create("answers", 1);
  const peer = await startPeer(t, daemon, "answers");
  const answers = await (await connected(t, daemon)).open("answers");
  const rounds = 100;
  const echo = peer.does("echo", { rounds, other: "shared" });
  for (let i = 0; i < rounds; i++) {
    await segment.notify();
    assert.equal(await answers.waitForVersion(i, { timeout: 60_000 }), i + 1);
  }
  await echo;
});

test("notifications come until the loop is left", async (t) => {
  const { segment, reader } = await shared(t);
  await segment.notify();
  const versions = [];
  for await (const version of reader.notifications({ after: 0 })) {
    versions.push(version);
    if (version === 5) break;
    await segment.notify();
  }
  assert.deepEqual(versions, [1, 2, 3, 4, 5]);

  const fresh = reader.notifications();
  const first = fresh.next();
  await reader.openSyncArea();
  await new Promise((resolve) => setImmediate(resolve));
  await segment.notify();
  assert.deepEqual(await first, { done: false, value: 6 });
  assert.deepEqual(await fresh.return(), { done: true, value: undefined });

  const controller = new AbortController();
  const aborted = reader.notifications({ signal: controller.signal });
  const next = aborted.next();
  controller.abort("enough");
  await assert.rejects(next, (error) => error === "enough");
  assert.equal((await aborted.next()).done, true);
  await assert.rejects(reader.notifications({ signal: controller.signal }).next(), (error) => error === "enough");
});
