// Locks and waits while the daemon ends and comes back, and what those who have waited long ask it.
import assert from "node:assert/strict";
import { readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import * as shmd from "../index.js";
import { connected, held, source, startDaemon, startFake, startManaged, startPeer } from "./support/daemon.js";

test("who has waited for a second has the daemon look after holders that are no attachments", async (t) => {
  const daemon = await startDaemon(t);
  const segment = await (await connected(t, daemon)).create("a", 4096);
  const reader = await (await connected(t, daemon)).open("a");
  const control = await connected(t, { socket: daemon.control });
  const peer = await startPeer(t, daemon, "a");
  await control.call("io.shmd.Control.Disconnect", { pid: peer.pid });
  // It knows nothing of its end: nobody else will release what it takes now.
  for (const how of ["readLock", "writeLock"]) {
    await peer.does("take", { how });
    const lock = await segment.writeLock();
    assert.equal(lock.ownerDied, how === "writeLock");
    lock.makeConsistent();
    lock.unlock();
    await assert.rejects(peer.does("release"), /NotLockedError/);
  }
  await peer.does("writeHalf");
  await assert.rejects(reader.snapshot(), shmd.OwnerDiedError);
  const lock = await segment.lock();
  assert.equal(lock.ownerDied, true);
});

test("locks last over restarts, with who holds them and who waits", async (t) => {
  const daemon = await startManaged(t);
  const segment = await (await connected(t, daemon)).create("a", 4096);
  const other = await (await connected(t, daemon)).open("a", { access: "write" });
  const reader = await (await connected(t, daemon)).open("a");
  for (const each of [other, reader]) await each.openSyncArea();
  const lock = await segment.lock();
  const reading = await segment.readLock();
  const waiting = [other.lock(), other.writeLock()];
  const version = reader.waitForVersion(0);
  for (const end of [daemon.kill, daemon.stop, daemon.kill]) {
    await end();
    assert.equal(other.tryLock(), null);
    segment.tryReadLock()?.unlock();
    await daemon.start();
  }
  // Those who wait ask the daemon meanwhile, which does not answer. Their time is over all the same, and the others go on.
  await daemon.kill();
  await assert.rejects(other.lock({ timeout: 1200 }), shmd.TimeoutError);
  await daemon.start();
  await assert.rejects(other.lock({ timeout: 1200 }), shmd.TimeoutError);
  assert.equal(other.tryLock(), null);
  lock.unlock();
  reading.unlock();
  for (const each of await Promise.all(waiting)) {
    assert.equal(each.ownerDied, false);
    each.unlock();
  }
  await segment.notify();
  assert.equal(await version, 1);
  const fresh = await (await connected(t, daemon)).open("a", { access: "write" });
  assert.equal((await fresh.lock()).ownerDied, false);
  assert.equal(segment.tryLock(), null);
});

test("a holder that dies while there is no daemon is told of once it is back", async (t) => {
  const daemon = await startManaged(t);
  const segment = await (await connected(t, daemon)).create("a", 4096);
  const peer = await startPeer(t, daemon, "a");
  const reader = await startPeer(t, daemon, "a");
  await peer.does("writeHalf");
  await reader.does("take", { how: "readLock" });
  const [locking, writing] = [segment.lock(), segment.writeLock()];
  await daemon.kill();
  await peer.kill();
  await reader.kill();
  await daemon.start();
  const lock = await locking;
  assert.equal(lock.ownerDied, true);
  assert.equal((await writing).ownerDied, false);
  const snapshot = segment.snapshot();
  lock.makeConsistent();
  assert.equal((await snapshot).length, 4096);
});

test("without a service manager, who waits learns that the daemon has gone", async (t) => {
  const errors = async (segment) => {
    const waiting = [segment.lock(), segment.beginWrite(), segment.waitForVersion(0), segment.writeLock(), segment.readLock()];
    return (await Promise.allSettled(waiting)).map(({ reason }) => `${reason.name}: ${reason.message}`);
  };
  const daemon = await startDaemon(t);
  const segment = await (await connected(t, daemon)).create("a", 4096);
  const locks = [await segment.lock(), await segment.writeLock()];
  await daemon.kill();
  // It may come back soon: only the time is over.
  await assert.rejects(segment.lock({ timeout: 1500 }), shmd.TimeoutError);
  const waiting = errors(segment);
  const again = await startDaemon(t, { directory: daemon.directory });
  for (const error of await waiting) {
    assert.match(error, /^DisconnectedError: cannot go on waiting for segment 'a': the connection that it was granted on has ended/);
  }
  // What needs nobody goes on.
  for (const lock of locks) lock.unlock();
  segment.tryLock().unlock();
  assert.equal(await segment.notify(), 1);

  const client = await connected(t, again);
  const other = await client.create("b", 4096);
  const unused = await client.create("c", 10);
  for (const how of ["lock", "writeLock"]) await other[how]();
  await again.kill();
  unlinkSync(again.socket);
  for (const error of await errors(other)) assert.match(error, /^ConnectError: cannot go on waiting for segment 'b': /);
  await assert.rejects(unused.lock(), { name: "ConnectError", message: /^cannot open the sync area of segment 'c': / });
});

test("a sync area that is none is refused, and nothing stays open", async (t) => {
  const granted = JSON.parse(readFileSync(join(source, "protocol/vectors/client/grant.json"), "utf8"));
  const fake = await startFake(t);
  const text = `${JSON.stringify(granted.reply)}\0`;
  const area = '{"parameters":{"fileDescriptor":0}}\0';
  const before = held(undefined, "memfd:shmd-fake");
  for (const [answer, words] of [
    [{ text: area, fds: 1, size: 4095 }, /is not a sync area/],
    [{ text: area, fds: 1, size: 4096, unsealed: true }, /is not a sync area/],
    [{ text: area, fds: 1, size: 4096 }, /has the format 0, which this version does not know/],
    [{ text: area }, /did not come with it/],
    [{ text: '{"parameters":{}}\0' }, /not a reply to this call/],
  ]) {
    await fake.answer({ text, fds: 1, size: 4097 });
    const client = await shmd.connect({ socket: fake.socket });
    const segment = await client.create("a", 4097);
    await fake.answer(answer);
    await assert.rejects(segment.lock(), (error) => {
      assert.ok(error instanceof shmd.ProtocolError);
      assert.match(error.message, /^cannot open the sync area of segment /);
      assert.match(error.message, words);
      return true;
    });
    await segment.close();
    await client.close();
    for (let told = {}; !told.closed; told = await fake.told());
    assert.deepEqual(held(undefined, "memfd:shmd-fake"), before);
  }
});
