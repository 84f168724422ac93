// Locks: who excludes whom, what becomes of them when a holder dies, and how waiting for them ends.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import * as shmd from "../index.js";
import { connected, runScript, startDaemon, startPeer } from "./support/daemon.js";

const index = new URL("../index.js", import.meta.url).href;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A daemon, and a segment "locked" that two clients here have open. */
async function locked(t, sizeBytes = 4096) {
  const daemon = await startDaemon(t);
  const segment = await (await connected(t, daemon)).create("locked", sizeBytes);
  const other = await (await connected(t, daemon)).open("locked", { access: "write" });
  await segment.openSyncArea();
  await other.openSyncArea();
  return { daemon, segment, other };
}

/** A thread that has the segment open, and has done what the code says when this is fulfilled. */
async function worker(t, daemon, code) {
  const made = new Worker(
    new URL(
      `data:text/javascript,${encodeURIComponent(`
        import { parentPort, workerData } from "node:worker_threads";
        import { connect } from ${JSON.stringify(index)};
        const client = await connect({ socket: workerData.socket });
        const segment = await client.open("locked", { access: "write" });
        ${code}
        parentPort.postMessage("done");
        await new Promise((resolve) => parentPort.once("message", resolve));
        await segment.close();
        await client.close();`)}`,
    ),
    { workerData: { socket: daemon.socket } },
  );
  t.after(() => made.terminate());
  await once(made, "message");
  return made;
}

for (const how of ["withLock", "withWriteLock", "withWriteSection"]) {
  test(`${how}: flows, threads and processes exclude each other`, async (t) => {
    const { daemon, segment, other } = await locked(t);
    const numbers = new Uint32Array(segment.buffer);
    const rounds = 100;
    const add = async () => {
      const before = numbers[0];
      await turn();
      numbers[0] = before + 1;
    };
    const flows = async (each) => Promise.all(Array.from({ length: rounds }, () => each[how](add)));
    const thread = () => worker(t, daemon, `
      const numbers = new Uint32Array(segment.buffer);
      for (let i = 0; i < ${rounds}; i++) {
        await segment.${how}(async () => {
          const before = numbers[0];
          await null;
          numbers[0] = before + 1;
        });
      }`);
    const peers = await Promise.all([startPeer(t, daemon, "locked"), startPeer(t, daemon, "locked")]);
    await Promise.all([
      flows(segment),
      flows(other),
      thread(),
      thread(),
      ...peers.map((peer) => peer.does("count", { how, rounds })),
    ]);
    assert.equal(numbers[0], 6 * rounds);
  });
}

test("readers share the lock, a writer has it alone, and a waiting writer goes first", async (t) => {
  const { segment, other } = await locked(t);
  const readers = [await segment.readLock(), await segment.readLock(), await other.readLock(), other.tryReadLock()];
  assert.equal(segment.tryWriteLock(), null);
  const order = [];
  const writing = other.writeLock().then((lock) => (order.push("writer"), lock));
  // Once the writer has the word.
  for (let reader; (reader = segment.tryReadLock()) !== null; await turn()) reader.unlock();
  const reading = [segment.readLock(), segment.readLock()].map((each) => each.then((lock) => (order.push("reader"), lock)));
  for (const reader of readers) reader.unlock();
  const writer = await writing;
  assert.equal(segment.tryReadLock(), null);
  assert.equal(segment.tryWriteLock(), null);
  // The mutex is another lock.
  segment.tryLock().unlock();
  writer.unlock();
  for (const reader of await Promise.all(reading)) reader.unlock();
  assert.deepEqual(order, ["writer", "reader", "reader"]);
  other.tryWriteLock().unlock();
});

test("an attempt that does not wait", async (t) => {
  const { segment, other, daemon } = await locked(t);
  const lock = segment.tryLock();
  assert.ok(lock instanceof shmd.Lock);
  assert.deepEqual([lock.held, lock.ownerDied], [true, false]);
  assert.equal(segment.tryLock(), null);
  assert.equal(other.tryLock(), null);
  await assert.rejects(other.lock({ timeout: 0 }), shmd.TimeoutError);
  lock.unlock();
  assert.equal(lock.held, false);
  (await other.lock({ timeout: 0 })).unlock();
  const fresh = await (await connected(t, daemon)).open("locked", { access: "write" });
  for (const attempt of [() => fresh.tryLock(), () => fresh.tryReadLock(), () => fresh.tryWriteLock(), () => fresh.version]) {
    assert.throws(attempt, { code: "ERR_SHMD_SYNC_AREA_NOT_OPEN", message: /await openSyncArea\(\) before/ });
  }
  // Any use opens it.
  (await fresh.lock({ timeout: 0 })).unlock();
  fresh.tryWriteLock().unlock();
});

test("a lock that is free is there before anything else happens, without a thread", async (t) => {
  const { segment } = await locked(t);
  let turns = 0;
  setImmediate(() => turns++);
  for (const how of ["lock", "readLock", "writeLock", "beginWrite"]) {
    const made = await segment[how]();
    made.unlock?.();
    made.end?.();
  }
  assert.equal(turns, 0);
});

test("what is done while a lock is held: its result, its errors, and that it unlocks by itself", async (t) => {
  const { segment, other } = await locked(t);
  assert.equal(await segment.withLock((lock) => (assert.ok(lock.held), 7)), 7);
  assert.equal(await segment.withReadLock(async () => "read"), "read");
  assert.equal(await segment.withWriteLock(async () => "write"), "write");
  assert.equal(await segment.withWriteSection((section) => section instanceof shmd.WriteSection && section.held), true);
  for (const how of ["withLock", "withReadLock", "withWriteLock", "withWriteSection"]) {
    await assert.rejects(segment[how](() => Promise.reject(new Error("mine"))), /^Error: mine$/);
    assert.equal(await segment[how]((made) => (made.unlock?.(), made.end?.(), "early")), "early");
  }
  for (const how of ["tryLock", "tryWriteLock"]) other[how]().unlock();
  assert.equal((await other.snapshot()).length, 4096);

  const dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");
  const asyncDispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");
  for (const how of ["lock", "readLock", "writeLock", "beginWrite"]) {
    const one = await segment[how]();
    one[dispose]();
    one[dispose]();
    const two = await segment[how]();
    await two[asyncDispose]();
    await two[asyncDispose]();
    assert.deepEqual([one.held, two.held], [false, false]);
  }
  for (const how of ["tryLock", "tryWriteLock"]) other[how]().unlock();
});

test("to unlock what is not held is an error", async (t) => {
  const { daemon, segment, other } = await locked(t);
  const lock = await segment.lock();
  lock.unlock();
  assert.throws(() => lock.unlock(), { name: "NotLockedError", code: "EPERM", message: /cannot unlock segment 'locked': that has been/ });
  assert.throws(() => lock.makeConsistent(), shmd.NotLockedError);
  const section = await segment.beginWrite();
  section.end();
  assert.throws(() => section.end(), { name: "NotLockedError", message: /cannot end the write section of segment 'locked'/ });
  const reading = await segment.readLock();
  assert.throws(() => reading.makeConsistent(), { name: "NotLockedError", message: /only who holds the write lock/ });
  reading.unlock();

  // Closing takes the lock away, and whoever comes next is told.
  const left = await segment.lock();
  const next = other.lock();
  await segment.close();
  assert.throws(() => left.unlock(), { name: "ClosedError", message: /cannot unlock segment 'locked': it is closed/ });
  assert.equal((await next).ownerDied, true);
  (await next).makeConsistent();
  (await next).unlock();

  // So does an administrator.
  const peer = await startPeer(t, daemon, "locked");
  for (const how of ["lock", "readLock"]) await peer.does("take", { how });
  const control = await connected(t, { socket: daemon.control });
  await control.call("io.shmd.Control.Disconnect", { pid: peer.pid });
  assert.equal((await other.lock()).ownerDied, true);
  other.tryWriteLock().unlock();
  await assert.rejects(peer.does("release"), /NotLockedError: cannot unlock segment 'locked': this process does not hold it any more/);
  await assert.rejects(peer.does("release"), /NotLockedError: cannot unlock for reading segment 'locked'/);
});

for (const how of ["lock", "writeLock", "beginWrite"]) {
  test(`${how}: a holder that is killed is told of to the next ones, until one makes consistent`, async (t) => {
    const { daemon, segment, other } = await locked(t);
    const release = (made) => (made.unlock?.(), made.end?.());
    const peer = await startPeer(t, daemon, "locked");
    assert.deepEqual(await peer.does("take", { how }), { ownerDied: false });
    const waiting = [segment[how](), other[how]({ timeout: 60_000 })];
    await peer.kill();
    release(await Promise.race(waiting));
    for (const each of await Promise.all(waiting)) {
      assert.equal(each.ownerDied, true);
      if (each.held) release(each);
    }
    const third = await segment[how]();
    assert.equal(third.ownerDied, true);
    third.makeConsistent();
    assert.equal(third.ownerDied, false);
    release(third);
    const last = await other[how]();
    assert.equal(last.ownerDied, false);
    release(last);
  });
}

test("a reader that is killed holds up no writer, and nobody is told of it", async (t) => {
  const { daemon, segment } = await locked(t);
  const peers = await Promise.all([startPeer(t, daemon, "locked"), startPeer(t, daemon, "locked")]);
  for (const peer of peers) await peer.does("take", { how: "readLock" });
  assert.equal(segment.tryWriteLock(), null);
  const writing = segment.writeLock();
  await peers[0].kill();
  assert.equal(await Promise.race([writing, turn()]), undefined);
  await peers[1].kill();
  const lock = await writing;
  assert.equal(lock.ownerDied, false);
  lock.unlock();
});

for (const how of ["lock", "readLock", "writeLock", "beginWrite"]) {
  test(`${how}: a time that is over, and a signal, end their own wait alone`, async (t) => {
    const { segment, other } = await locked(t);
    const holder = await segment[how === "lock" || how === "beginWrite" ? "lock" : "writeLock"]();
    const timeout = { name: "TimeoutError", code: "ETIMEDOUT", message: /^cannot (lock|begin to write).* segment 'locked': the time is over$/ };
    await assert.rejects(other[how]({ timeout: 20 }), timeout);
    await assert.rejects(other[how]({ timeout: 0 }), timeout);
    // The timer of the signal keeps nothing alive; the wait does.
    await assert.rejects(other[how]({ signal: AbortSignal.timeout(5) }), { name: "TimeoutError", code: 23 });
    const controller = new AbortController();
    const aborted = other[how]({ signal: controller.signal });
    const late = other[how]({ timeout: 5 });
    const stays = other[how]({ timeout: 2 ** 40 });
    controller.abort("enough");
    await assert.rejects(aborted, (error) => error === "enough");
    await assert.rejects(other[how]({ signal: controller.signal }), (error) => error === "enough");
    await assert.rejects(late, timeout);
    for (const wrong of [-1, NaN, "5"]) await assert.rejects(other[how]({ timeout: wrong }), RangeError);
    assert.equal(await Promise.race([stays, turn()]), undefined);
    holder.unlock();
    const got = await stays;
    assert.equal(got.ownerDied, false);
    got[Symbol.dispose ?? Symbol.for("Symbol.dispose")]();
    // Nobody is left in between.
    for (const attempt of ["tryLock", "tryWriteLock"]) segment[attempt]().unlock();
  });
}

test("who has given up gets nothing that others would wait for", async (t) => {
  const { segment, other } = await locked(t);
  for (let i = 0; i < 20; i++) {
    const holders = [await segment.lock(), await segment.writeLock()];
    const controller = new AbortController();
    const given = ["lock", "readLock", "writeLock", "beginWrite"].map((how) =>
      other[how](i % 2 ? { timeout: 1 } : { signal: controller.signal }).catch(() => "given up"),
    );
    if (i % 4 === 0) await turn();
    controller.abort();
    if (i % 4 < 2) for (const holder of holders) holder.unlock();
    for (const each of await Promise.all(given)) {
      assert.ok(each === "given up" || i % 4 === 1);
      each.unlock?.();
      each.end?.();
    }
    if (i % 4 >= 2) for (const holder of holders) holder.unlock();
    for (let j = 0; j < 10; j++) {
      for (const how of ["lock", "writeLock"]) (await segment[how]({ timeout: 10_000 })).unlock();
      await turn();
    }
  }
});

test("many who wait keep nothing else from going on", async (t) => {
  const { daemon, segment, other } = await locked(t);
  const locks = [await other.lock(), await other.writeLock()];
  const waiting = ["lock", "readLock", "writeLock", "beginWrite"].flatMap((how) =>
    Array.from({ length: 20 }, () => segment[how]().then((made) => (made.unlock?.(), made.end?.()))),
  );
  waiting.push(...Array.from({ length: 20 }, () => segment.waitForVersion(0)));
  let over = 0;
  for (const each of waiting) each.then(() => over++);
  // The threads of Node's pool, timers, the daemon, and this very segment.
  for (let i = 0; i < 20; i++) assert.ok((await readFile(new URL(import.meta.url))).length > 0);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal((await segment.remap()).attachments, 2);
  assert.equal((await segment.snapshot()).length, 4096);
  assert.equal(await (await connected(t, daemon)).open("locked").then((each) => each.read().length), 4096);
  assert.equal(over, 0);
  for (const lock of locks) lock.unlock();
  await other.notify();
  await Promise.all(waiting);
});

test("a segment that is closed ends its waits, and holds nobody up", async (t) => {
  const { daemon, segment, other } = await locked(t, 2 ** 20);
  const [lock, writing] = [await other.beginWrite(), await other.writeLock()];
  const waiting = [
    segment.lock(), segment.lock(), segment.readLock(), segment.writeLock(), segment.beginWrite(), segment.waitForVersion(0),
    segment.snapshot(), segment.snapshot({ length: 10 }), segment.notifications().next(),
  ];
  const fresh = await (await connected(t, daemon)).open("locked", { access: "write" });
  // They do not even know the area.
  waiting.push(fresh.lock(), fresh.waitForVersion(0), fresh.snapshot(), fresh.notify(), fresh.openSyncArea());
  const results = Promise.allSettled(waiting);
  await turn();
  await segment.close();
  fresh.close();
  for (const { reason } of await results) {
    assert.ok(reason instanceof shmd.ClosedError, reason);
    assert.match(reason.message, /^cannot .* segment 'locked': it (is|was) closed/);
  }
  for (const call of [() => segment.lock(), () => segment.snapshot(), () => segment.waitForVersion(0), () => segment.notify()]) {
    await assert.rejects(call(), shmd.ClosedError);
  }
  assert.throws(() => segment.tryLock(), shmd.ClosedError);
  assert.throws(() => segment.version, shmd.ClosedError);
  lock.end();
  writing.unlock();
  const peer = await startPeer(t, daemon, "locked");
  for (const how of ["lock", "writeLock"]) assert.deepEqual(await peer.does("take", { how }), { ownerDied: false });
});

test("for reading: no lock, but snapshots and versions", async (t) => {
  const { daemon, segment } = await locked(t);
  const reader = await (await connected(t, daemon)).open("locked");
  for (const how of ["lock", "readLock", "writeLock", "beginWrite", "notify"]) {
    await assert.rejects(reader[how](), { name: "ReadOnlyError", message: /^cannot .* segment 'locked': the segment is open for reading/ });
  }
  await assert.rejects(reader.withLock(() => assert.fail()), shmd.ReadOnlyError);
  assert.throws(() => reader.tryLock(), shmd.ReadOnlyError);
  await segment.withWriteSection(() => segment.write("text"));
  assert.equal((await reader.snapshot({ length: 4 })).toString(), "text");
  const waiting = reader.waitForVersion(0);
  assert.equal(await segment.notify(), 1);
  assert.equal(await waiting, 1);
  assert.equal(reader.version, 1);
});

test("sealing ends the waits for locks, and no others", async (t) => {
  const { segment, other } = await locked(t);
  const lock = await segment.lock();
  const version = segment.waitForVersion(0);
  await assert.rejects(segment.seal(), shmd.SegmentBusyError);
  // It had another attachment meanwhile: the lock is gone with the one before.
  assert.throws(() => lock.unlock(), shmd.NotLockedError);
  const died = await segment.lock();
  assert.equal(died.ownerDied, true);
  died.makeConsistent();
  const waiting = segment.lock();
  const refused = assert.rejects(waiting, { name: "ReadOnlyError", message: /is sealed/ });
  await other.close();
  await segment.seal();
  await refused;
  await assert.rejects(segment.lock(), shmd.ReadOnlyError);
  assert.equal(segment.version, 0);
  assert.equal((await segment.snapshot()).length, 4096);
  await segment.close();
  await assert.rejects(version, shmd.ClosedError);
});

test("a thread that ends while it waits holds nobody up; one that holds a lock has died", async (t) => {
  const { daemon, segment, other } = await locked(t);
  for (let i = 0; i < 5; i++) {
    const lock = await segment.lock();
    const waits = await worker(t, daemon, `
      globalThis.waiting = [segment.lock(), segment.readLock(), segment.waitForVersion(0), segment.snapshot()];
      await segment.remap();`);
    if (i % 2 === 0) lock.unlock();
    await waits.terminate();
    if (i % 2 === 1) lock.unlock();
    const next = await other.lock();
    // If it was unlocked before, the thread may have got it.
    if (i % 2 === 1) assert.equal(next.ownerDied, false);
    next.makeConsistent();
    next.unlock();
    // It had this one for reading.
    (await other.writeLock()).unlock();
  }
  const holds = await worker(t, daemon, "globalThis.lock = await segment.lock();");
  const waiting = segment.lock();
  await holds.terminate();
  assert.equal((await waiting).ownerDied, true);
});

test("a wait keeps the process alive; one that is over does not", async (t) => {
  const { daemon, segment } = await locked(t);
  const told = await (await connected(t, daemon)).create("told", 1);
  const begin = `import { connect } from "shmd";
    const client = await connect({ socket: ${JSON.stringify(daemon.socket)} });
    const segment = await client.open("locked", { access: "write" });
    const tell = (error) => console.log(error.name);`;
  const lock = await segment.lock();
  const waits = runScript(t, `${begin}
    segment.waitForVersion(0).then((version) => console.log(version));
    segment.lock().then((lock) => (console.log(lock.held), lock.unlock()));
    const told = await client.open("told", { access: "write" });
    await segment.openSyncArea();
    await told.notify();`);
  await told.waitForVersion(0);
  await segment.notify();
  const over = await runScript(t, `${begin}
    await segment.lock({ signal: AbortSignal.timeout(5) }).catch(tell);
    await segment.waitForVersion(7, { timeout: 5 }).catch(tell);
    segment.lock().catch(tell);
    await segment.openSyncArea();
    segment.close();`);
  assert.deepEqual([over.output, over.errors, over.code], ["TimeoutError\nTimeoutError\nClosedError\n", "", 0]);
  const exits = await runScript(t, `${begin}
    segment.lock(), segment.writeLock(), segment.waitForVersion(7);
    await segment.openSyncArea();
    process.exit(3);`);
  assert.deepEqual([exits.errors, exits.code], ["", 3]);
  lock.unlock();
  const { output, errors, code } = await waits;
  assert.deepEqual([output.split("\n").sort(), errors, code], [["", "1", "true"], "", 0]);
  assert.equal((await segment.lock()).ownerDied, false);
});
