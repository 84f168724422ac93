// What a client does, against the real daemon.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as shmd from "../index.js";
import { all, connected, runScript, startDaemon } from "./support/daemon.js";

test("create makes a segment of zeros; open finds the same memory", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("greeting", 100);
  assert.ok(segment instanceof shmd.Segment);
  assert.equal(segment.created, true);
  assert.equal(segment.size, 100);
  assert.equal(segment.key, "greeting");
  assert.equal(segment.access, "write");
  assert.ok(segment.attachment > 0);
  assert.equal(segment.info.sizeBytes, 100);
  assert.equal(segment.info.mode, 0o600);
  assert.equal(segment.buffer.byteLength, 100);
  assert.ok(new Uint8Array(segment.buffer).every((byte) => byte === 0));
  const other = await client.open("greeting", { access: "write" });
  assert.equal(other.created, false);
  assert.notEqual(other.attachment, segment.attachment);
  new Uint8Array(other.buffer).set([1, 2, 3], 97);
  assert.deepEqual([...new Uint8Array(segment.buffer, 97)], [1, 2, 3]);
  const byId = await client.open({ id: segment.id });
  assert.deepEqual([...byId.read(97)], [1, 2, 3]);
  assert.equal((await client.open({ key: "greeting" })).id, segment.id);
});

test("create takes every option", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("all", 5000, {
    mode: 0o640,
    createMode: "new",
    access: "read",
    reserve: "populate",
    lifetime: "lease",
    leaseUsec: 60_000_000,
    evictable: true,
    sealable: false,
    acl: [{ uid: 33, access: "write" }, { gid: 1, access: "read" }],
    labels: { codec: "h264", größe: "…" },
    capacityBytes: 100_000,
    hugePages: "huge2M",
    numaNodes: [0],
    placementFallback: true,
  });
  const { info } = segment;
  assert.equal(segment.access, "read");
  assert.equal(info.mode, 0o640);
  assert.equal(info.lifetime, "lease");
  assert.equal(info.leaseUsec, 60_000_000);
  assert.ok(info.expiresUsec > info.createdUsec);
  assert.equal(info.evictable, true);
  assert.deepEqual(info.acl, [{ uid: 33, access: "write" }, { gid: 1, access: "read" }]);
  assert.deepEqual(info.labels, { codec: "h264", größe: "…" });
  assert.equal(info.capacityBytes, 100_000);
  await assert.rejects(client.seal("all"), shmd.NotSealableError);

  const again = await client.create("all", 10, { createMode: "any" });
  assert.deepEqual([again.created, again.id, again.size], [false, segment.id, 5000]);
  const unkeyed = await client.create(null, 1);
  assert.match(unkeyed.key, /^anon:/);
  const lazy = await client.create("lazy", 4096, { reserve: "lazy", lifetime: "attached" });
  await lazy.close();
  await assert.rejects(client.describe("lazy"), shmd.NoSuchSegmentError);
});

test("a lifetime of its creator ends with the process that created it", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const watch = client.watch("mine");
  await watch.opened();
  const { output } = await runScript(
    t,
    `import { connect } from "shmd";
     const client = await connect({ socket: ${JSON.stringify(daemon.socket)} });
     await client.create("mine", 10, { lifetime: "creator" });
     console.log("made");`,
  );
  assert.equal(output, "made\n");
  for await (const { event } of watch) if (event === "expired") break;
  await assert.rejects(client.describe("mine"), shmd.NoSuchSegmentError);
});

test("an integer is a System V key", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create(0xff3, 10);
  assert.equal(segment.key, "sysv:0x00000ff3");
  assert.equal((await client.open("sysv:0x00000ff3")).id, segment.id);
  assert.equal((await client.create(-1, 10)).key, "sysv:0xffffffff");
  assert.equal((await client.describe(0xffffffff)).key, "sysv:0xffffffff");
  assert.equal(shmd.systemVKey(-2147483648), "sysv:0x80000000");
  for (const bad of [2 ** 32, -(2 ** 31) - 1, 1.5, NaN]) assert.throws(() => shmd.systemVKey(bad), RangeError);
  await client.delete(-1);
});

test("staged, written, published, replaced", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const first = await client.create("table", 10, { staged: true });
  assert.equal(first.key, null);
  assert.equal(first.info.state, "staged");
  await assert.rejects(client.open("table"), shmd.NoSuchSegmentError);
  first.write("first");
  const published = await first.publish();
  assert.deepEqual([published.key, published.state, first.key], ["table", "live", "table"]);
  const reader = await client.open("table");

  const second = await client.create("table/next", 20, { staged: true });
  second.write("second");
  await assert.rejects(second.publish({ key: "table" }), shmd.SegmentExistsError);
  await second.publish({ key: "table", replace: true });
  assert.equal(reader.read(0, 5).toString(), "first");
  assert.equal((await client.open("table")).read(0, 6).toString(), "second");
  assert.equal((await first.remap()).key, null);
});

test("sealing: who has it open for writing turns to reading, at the same buffer", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("sealed", 10);
  const bytes = new Uint8Array(segment.buffer);
  bytes[0] = 7;
  await assert.rejects(client.open("sealed", { sealed: true }), shmd.NotSealedError);
  const writer = await client.open("sealed", { access: "write" });
  await assert.rejects(segment.seal(), (error) => {
    assert.ok(error instanceof shmd.SegmentBusyError);
    assert.deepEqual(error.parameters.holders.map(({ pid, attachment }) => [pid, attachment]), [
      [process.pid, writer.attachment],
    ]);
    assert.match(error.message, /cannot seal segment 'sealed': it is open in process/);
    return true;
  });
  // As it was: it writes, and others see that.
  assert.equal(segment.access, "write");
  bytes[1] = 8;
  assert.equal(writer.read(1, 1)[0], 8);
  await writer.close();

  const { sealed } = await segment.seal();
  assert.equal(sealed, true);
  assert.equal(segment.access, "read");
  assert.equal(segment.buffer, bytes.buffer);
  assert.deepEqual([...bytes.subarray(0, 2)], [7, 8]);
  assert.throws(() => segment.write("x"), shmd.ReadOnlyError);
  assert.throws(() => segment.view.setUint8(0, 1), shmd.ReadOnlyError);
  assert.equal((await client.open("sealed", { sealed: true })).read(0, 1)[0], 7);
  await assert.rejects(client.open("sealed", { access: "write" }), shmd.SegmentSealedError);
  assert.equal((await segment.seal()).sealed, true);
});

test("resizing: within the capacity, and the buffer is another one", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("grows", 10, { capacityBytes: 10_000 });
  const other = await client.open("grows");
  const { buffer } = segment;
  segment.write("0123456789");
  assert.equal((await segment.resize(10_000)).sizeBytes, 10_000);
  assert.deepEqual([buffer.byteLength, segment.buffer.byteLength], [0, 10_000]);
  segment.write("end", 9997);
  assert.equal(other.size, 10);
  assert.throws(() => other.read(9997, 3), RangeError);
  await other.remap();
  assert.equal(other.read(9997, 3).toString(), "end");
  assert.equal(other.read(0, 10).toString(), "0123456789");
  await assert.rejects(segment.resize(10_001), (error) => {
    assert.ok(error instanceof shmd.CapacityExceededError);
    assert.deepEqual(error.parameters, { capacityBytes: 10_000 });
    return true;
  });
  const same = segment.buffer;
  await segment.remap();
  assert.equal(segment.buffer, same);
  const elsewhere = await connected(t, { socket: client.socketPath });
  const holder = await elsewhere.open("grows");
  await assert.rejects(client.resize("grows", 5), shmd.SegmentBusyError);
  await holder.close();
  await elsewhere.describe("grows");
  assert.equal((await client.resize({ id: segment.id }, 5)).sizeBytes, 5);
});

test("attributes, leases and labels", async (t) => {
  const client = await connected(t, await startDaemon(t));
  await client.create("a", 10, { labels: { one: "1", two: "2" } });
  const changed = await client.setAttributes("a", {
    mode: 0o644,
    ownerUid: 1,
    ownerGid: 2,
    labels: { two: "zwei", three: "3" },
    removeLabels: ["one"],
    lifetime: "lease",
    leaseUsec: 3_600_000_000,
    evictable: true,
    acl: [{ uid: 33, access: "read" }],
  });
  assert.deepEqual(changed.labels, { two: "zwei", three: "3" });
  assert.deepEqual([changed.mode, changed.ownerUid, changed.ownerGid, changed.evictable], [0o644, 1, 2, true]);
  assert.deepEqual(changed.acl, [{ uid: 33, access: "read" }]);
  const renewed = await client.renew({ id: changed.id });
  assert.ok(renewed.expiresUsec >= changed.expiresUsec);
  const lasting = await client.setAttributes("a", { lifetime: "persistent" });
  assert.deepEqual([lasting.leaseUsec, lasting.expiresUsec, lasting.mode], [null, null, 0o644]);
  await assert.rejects(client.renew("a"), shmd.NoLeaseError);
});

test("list tells of all, in order, by prefix; a loop may call the client", async (t) => {
  const client = await connected(t, await startDaemon(t));
  assert.deepEqual(await all(client.list()), []);
  for (const key of ["b/2", "a", "b/1"]) await client.create(key, 10);
  assert.deepEqual((await all(client.list())).map(({ key }) => key), ["b/2", "a", "b/1"]);
  for await (const { key } of client.list("b/")) await client.delete(key);
  assert.deepEqual((await all(client.list())).map(({ key }) => key), ["a"]);
});

test("deleting frees the key at once, and whoever has it open keeps the memory", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("a", 10);
  segment.write("kept");
  await client.delete("a");
  const next = await client.create("a", 10);
  assert.notEqual(next.id, segment.id);
  assert.equal(segment.read(0, 4).toString(), "kept");
  assert.equal((await client.open({ id: segment.id })).read(0, 4).toString(), "kept");
  await client.delete({ id: next.id });
  await assert.rejects(client.delete("a"), shmd.NoSuchSegmentError);
});

test("many at once: all or none are created, and of each that is opened is told what became of it", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const requests = Array.from({ length: 250 }, (_, i) => ({ key: `many/${i}`, sizeBytes: 10 + i, labels: { i: `${i}` } }));
  const made = await client.createMany(requests);
  assert.deepEqual(made.map(({ size }) => size), requests.map(({ sizeBytes }) => sizeBytes));
  made.forEach((segment, i) => segment.write(`${i}`));
  await assert.rejects(client.createMany([{ key: "new", sizeBytes: 1 }, { key: "many/3", sizeBytes: 1 }]), shmd.SegmentExistsError);
  await assert.rejects(client.describe("new"), shmd.NoSuchSegmentError);

  // More than one trip takes.
  const keys = [...requests.map(({ key }) => key), "none", { id: made[7].id }, ...requests.map(({ key }) => key)];
  const opened = await client.openMany(keys);
  assert.equal(opened.length, 502);
  assert.ok(opened[250] instanceof shmd.NoSuchSegmentError);
  assert.match(opened[250].message, /cannot open segment 'none' for reading/);
  assert.equal(opened[251].id, made[7].id);
  assert.equal(opened[251 + 9].read(0, 1).toString(), "8");
  const [writable] = await client.openMany(["many/0"], { access: "write" });
  writable.write("w");
  assert.equal(made[0].read(0, 1).toString(), "w");
  for (const each of [...made, ...opened]) if (each instanceof shmd.Segment) await each.close();
  assert.equal((await client.describe("many/7")).attachments, 0);
  assert.deepEqual(await client.openMany([]), []);
});

test("any other call of the interface can be made", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const { interfaces } = await client.call("org.varlink.service.GetInfo");
  assert.ok(interfaces.includes("io.shmd.Segments"));
  await client.create("a", 10);
  const [{ segment }] = await all(client.callMany("io.shmd.Segments.List", { prefix: "a" }));
  assert.equal(segment.key, "a");
  const control = await connected(t, { socket: daemon.control });
  assert.equal((await control.call("io.shmd.Control.GetStatus")).segments, 1);
});

test("calls that are made at the same time are all answered", async (t) => {
  const client = await connected(t, await startDaemon(t));
  await client.create("a", 1000);
  const jobs = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? client.open("a") : client.describe("a")));
  const results = await Promise.all(jobs);
  assert.ok(results.every(({ id }) => id === results[0].id));
});

test("wrong arguments are refused before anything is sent", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("a", 10);
  for (const bad of [NaN, 1.5, Infinity, "10", undefined]) await assert.rejects(client.create("b", bad), RangeError);
  for (const bad of [null, undefined, true, {}, { id: "7" }]) await assert.rejects(client.open(bad), TypeError);
  await assert.rejects(client.create("b", 10, { leaseUsec: NaN, lifetime: "lease" }), RangeError);
  await assert.rejects(client.create("b", 10, { mode: 1n }), TypeError);
  await assert.rejects(client.create("b", 10, { labels: { a: "\ud800" } }), TypeError);
  await assert.rejects(client.create("b", 10, { labels: { "\udfff": "a" } }), TypeError);
  await assert.rejects(client.create("b", 10, { labels: { a: "x".repeat(1024 * 1024) } }), RangeError);
  let deep = {};
  for (let i = 0; i < 40; i++) deep = { deep };
  await assert.rejects(client.call("io.shmd.Segments.Describe", deep), RangeError);
  await assert.rejects(client.open("a", { waitUsec: -1 }), RangeError);
  await assert.rejects(client.resize("a", 0.5), RangeError);
  for (const [offset, length] of [[-1, 1], [0, 11], [11, 0], [5, 6], [0.5, 1], [NaN, 1]]) {
    assert.throws(() => segment.read(offset, length), RangeError);
  }
  for (const offset of [-1, 10, NaN, 2 ** 60]) assert.throws(() => segment.write("x", offset), RangeError);
  assert.throws(() => segment.write(7), TypeError);
  assert.throws(() => new shmd.Segment(), TypeError);
  // The connection has borne it all.
  assert.equal(segment.attachment, segment.attachment);
  assert.equal((await segment.remap()).attachments, 1);
});

test("write takes text, buffers and views; read gives a copy", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("a", 16);
  assert.equal(segment.write("größe"), 7);
  assert.equal(segment.write(new Uint16Array([1, 2]).buffer, 8), 4);
  assert.equal(segment.write(new Uint16Array([3, 4, 5]).subarray(1), 12), 4);
  assert.deepEqual([...new Uint16Array(segment.buffer, 8, 4)], [1, 2, 4, 5]);
  const copy = segment.read(0, 7);
  assert.equal(copy.toString(), "größe");
  segment.write("x");
  assert.equal(copy.toString(), "größe");
  assert.equal(segment.read(16).length, 0);
});

test("a closed client refuses; its open segments stay open, and the connection ends with the last", async (t) => {
  const daemon = await startDaemon(t);
  const client = await shmd.connect({ socket: daemon.socket });
  const segment = await client.create("a", 10, { lifetime: "attached" });
  await client.close();
  await client.close();
  await assert.rejects(client.describe("a"), shmd.ClosedError);
  assert.throws(() => client.watch(), shmd.ClosedError);
  segment.write("x");
  assert.equal((await segment.remap()).attachments, 1);
  const watcher = await connected(t, daemon);
  const watch = watcher.watch("a");
  await watch.opened();
  await segment.close();
  for await (const { event } of watch) if (event === "expired") break;
});

test("await using closes", async (t) => {
  const daemon = await startDaemon(t);
  const client = await shmd.connect({ socket: daemon.socket });
  const segment = await client.create("a", 10);
  await segment[Symbol.asyncDispose]();
  assert.equal(segment.closed, true);
  const other = await client.open("a");
  other[Symbol.dispose]();
  assert.equal(other.closed, true);
  assert.equal((await client.describe("a")).attachments, 0);
  await client[Symbol.asyncDispose]();
  await assert.rejects(client.describe("a"), shmd.ClosedError);
});
