// The memory itself: no copy, no crash, nothing that can be touched once it is gone.
import assert from "node:assert/strict";
import { constants } from "node:buffer";
import { randomFill } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";

import * as shmd from "../index.js";
import { collect, connected, held, runScript, startDaemon } from "./support/daemon.js";

test("closing detaches the buffer: views have no length, and nothing can be touched", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const before = held(5000);
  const segment = await client.create("detached", 5000);
  const { buffer } = segment;
  assert.equal(segment.buffer, buffer);
  const bytes = new Uint8Array(buffer, 10, 20);
  const numbers = new Float64Array(buffer, 8, 4);
  const data = new DataView(buffer);
  const node = Buffer.from(buffer);
  bytes.fill(1);
  assert.equal(held(5000).mapped, before.mapped + 1);
  await segment.close();
  assert.equal(held(5000).mapped, before.mapped);
  assert.deepEqual([buffer.byteLength, bytes.length, numbers.length, node.length], [0, 0, 0, 0]);
  assert.equal(bytes[0], undefined);
  bytes[0] = 1;
  node[3] = 1;
  assert.throws(() => data.getInt8(0), TypeError);
  assert.throws(() => bytes.fill(2), TypeError);
  for (const touch of [() => segment.buffer, () => segment.view, () => segment.read(), () => segment.write("x")]) {
    assert.throws(touch, shmd.ClosedError);
  }
  for (const call of [segment.publish, segment.seal, segment.resize, segment.remap]) {
    await assert.rejects(call.call(segment, 1), shmd.ClosedError);
  }
  await segment.close();
  assert.deepEqual(held(5000), before);
  assert.equal((await client.describe("detached")).attachments, 0);
});

test("a stray write to what is open for reading neither crashes nor reaches anybody", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const writer = await client.create("a", 3 * 4096);
  const reader = await client.open("a");
  const bytes = new Uint8Array(reader.buffer);
  writer.write("live", 4096);
  assert.equal(reader.read(4096, 4).toString(), "live");

  bytes[0] = 42;
  assert.equal(writer.read(0, 1)[0], 0);
  assert.equal(bytes[0], 42);
  // The page that was written is this buffer's own from now on; all others are shared as before.
  writer.write("x", 1);
  assert.equal(bytes[1], 0);
  writer.write("still live", 4096);
  assert.equal(Buffer.from(reader.buffer, 4096, 10).toString(), "still live");
  const another = await client.open("a");
  assert.equal(another.read(1, 1).toString(), "x");
});

test("memory for reading that nobody has touched before is shared, too: when it is lazy, and when it grows", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const writer = await client.create("a", 4096, { reserve: "lazy", capacityBytes: 1024 * 1024 });
  const reader = await client.open("a");
  assert.equal(new Uint8Array(reader.buffer)[0], 0);
  writer.write("seen");
  assert.equal(reader.read(0, 4).toString(), "seen");
  await writer.resize(1024 * 1024);
  await reader.remap();
  assert.equal(new Uint8Array(reader.buffer)[500_000], 0);
  writer.write("seen", 500_000);
  assert.equal(reader.read(500_000, 4).toString(), "seen");
});

test("write() and the setters of a view refuse what is open for reading", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const writer = await client.create("a", 100);
  const reader = await client.open("a");
  assert.ok(reader.view instanceof shmd.ReadOnlyDataView);
  assert.ok(!(writer.view instanceof shmd.ReadOnlyDataView));
  writer.view.setFloat64(8, Math.PI, true);
  assert.equal(reader.view.getFloat64(8, true), Math.PI);
  assert.equal(reader.view, reader.view);
  const setters = Object.getOwnPropertyNames(DataView.prototype).filter((name) => name.startsWith("set"));
  assert.ok(setters.length >= 10);
  for (const name of setters) assert.throws(() => reader.view[name](0, 1), shmd.ReadOnlyError);
  assert.throws(() => reader.write("x"), (error) => error.code === "ERR_SHMD_READ_ONLY");
  assert.equal(reader.read(0, 1)[0], 0);
});

test("stray writes crash when that is asked for", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const writer = await client.create("a", 100);
  const { code, signal, output } = await runScript(
    t,
    `import { connect } from "shmd";
     const client = await connect({ socket: ${JSON.stringify(daemon.socket)} });
     const segment = await client.open("a", { strayWrites: "crash" });
     console.log(new Uint8Array(segment.buffer)[0]);
     new Uint8Array(segment.buffer)[0] = 1;
     console.log("survived");`,
  );
  assert.deepEqual([output, code, signal], ["0\n", null, "SIGSEGV"]);
  assert.equal(writer.read(0, 1)[0], 0);
});

test("a limit on private memory does not keep anybody from reading", async (t) => {
  const daemon = await startDaemon(t, { config: { limits: { bytes: "64G" } } });
  const client = await connected(t, daemon);
  await client.create("limited", 16 * 2 ** 30, { reserve: "lazy" }).then((segment) => segment.write("there", 9 * 2 ** 30));
  const { output, errors } = await runScript(
    t,
    `import { connect } from "shmd";
     const client = await connect({ socket: ${JSON.stringify(daemon.socket)} });
     const segment = await client.open("limited");
     console.log(segment.read(9 * 2 ** 30, 5).toString());`,
    { setpriv: ["prlimit", `--data=${8 * 2 ** 30}`] },
  );
  assert.equal(output, "there\n", errors);
});

test("a buffer for reading does not count as a writer, and its descriptor is closed", async (t) => {
  const client = await connected(t, await startDaemon(t));
  await client.create("reading", 100).then((segment) => segment.close());
  const before = held().descriptors;
  const reader = await client.open("reading");
  new Uint8Array(reader.buffer)[0] = 1;
  assert.equal(held().descriptors, before);
  assert.equal((await client.seal("reading")).sealed, true);
});

test("what a thread of the pool does with a view while the segment is closed is safe", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("pooled", 16 * 1024 * 1024, { reserve: "populate" });
  const other = await client.open("pooled");
  const { mapped } = held(16 * 1024 * 1024);
  // Many more than threads: most begin only after the segment is gone. All write.
  const jobs = Array.from({ length: 16 }, () => promisify(randomFill)(new Uint8Array(segment.buffer)));
  await segment.close();
  assert.equal(held(16 * 1024 * 1024).mapped, mapped - 1);
  const seen = other.read(0, 4096);
  await Promise.all(jobs);
  assert.deepEqual(other.read(0, 4096), seen, "what was written after the end reached nobody");
});

test("the memory goes with the last who can touch it: a segment that is dropped is closed", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  await client.create("dropped", 5000).then((segment) => segment.close());
  const attachments = async () => (await client.describe("dropped")).attachments;
  const mapped = () => held(5000).mapped;

  // Not in variables of this function, which the engine may keep longer than they are used.
  const views = new Set();
  const keep = async () => void views.add(new Uint8Array((await client.open("dropped")).buffer, 1));
  await keep();
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual([await attachments(), mapped()], [1, 1], "a view keeps its segment");
  views.forEach((view) => assert.equal(view[0], 0));
  views.clear();
  assert.ok(await collect(async () => (await attachments()) === 0), "nobody can touch it any more");
  assert.ok(await collect(() => mapped() === 0));
});

test("a client that is dropped ends its connection", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const control = await connected(t, { socket: daemon.control });
  const connections = async () => (await control.call("io.shmd.Control.GetStatus")).connections;
  await client.list().next();
  const before = await connections();
  await (async () => {
    const dropped = await shmd.connect({ socket: daemon.socket });
    await dropped.list().next();
    assert.equal(await connections(), before + 1);
  })();
  assert.ok(await collect(async () => (await connections()) === before));
});

test("10,000 opens leave nothing behind, errors included", async (t) => {
  const client = await connected(t, await startDaemon(t));
  await client.create("ten-thousand", 2 ** 20).then((segment) => segment.close());
  const addresses = () => Number(/^VmSize:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
  await client.open("ten-thousand").then((segment) => segment.close());
  const before = held(2 ** 20);
  const addressesBefore = addresses();
  for (let i = 0; i < 10_000; i++) {
    const segment = await client.open("ten-thousand");
    if (i % 2 === 0) new Uint8Array(segment.buffer)[0] = i;
    await segment.close();
    if (i % 100 === 0) await assert.rejects(client.open("none"), shmd.NoSuchSegmentError);
    if (i % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(held(2 ** 20), before);
  // The addresses of the 5,000 MiB that had a buffer are free again.
  const free = await collect(() => addresses() < addressesBefore + 500);
  assert.ok(free, `${addresses()} MiB, ${addressesBefore} before`);
});

test("a buffer is copied when it is posted, and cannot be moved away", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("a", 100);
  segment.write("here");
  const { buffer } = segment;
  const copy = structuredClone(buffer);
  new Uint8Array(copy)[0] = 0;
  const { port1, port2 } = new MessageChannel();
  try {
    port1.postMessage(buffer, [buffer]);
  } catch (error) {
    assert.equal(error.name, "DataCloneError");
  }
  port1.close();
  port2.close();
  for (const name of ["transfer", "transferToFixedLength"]) {
    if (name in ArrayBuffer.prototype) assert.throws(() => buffer[name](), TypeError);
  }
  assert.equal(buffer.byteLength, 100);
  assert.equal(segment.read(0, 4).toString(), "here");
});

test("memory that was moved away all the same shows zeros once it is closed", async (t) => {
  if (!ArrayBuffer.prototype.transfer) return t.skip("this Node.js has no ArrayBuffer.prototype.transfer");
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("a", 100);
  segment.write("here");
  const moved = new Uint8Array(ArrayBuffer.prototype.transfer.call(segment.buffer));
  assert.equal(Buffer.from(moved.subarray(0, 4)).toString(), "here");
  await segment.close();
  assert.deepEqual([...moved.subarray(0, 4)], [0, 0, 0, 0]);
  moved[0] = 1;
  assert.equal(await client.open("a").then((again) => again.read(0, 4).toString()), "here");
});

test("Atomics work on the memory, but for waiting", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const one = new Int32Array((await client.create("a", 16)).buffer);
  const other = new Int32Array((await client.open("a", { access: "write" })).buffer);
  assert.equal(Atomics.add(one, 0, 5), 0);
  assert.equal(Atomics.compareExchange(other, 0, 5, 6), 5);
  assert.equal(Atomics.load(one, 0), 6);
  assert.throws(() => Atomics.wait(one, 0, 6, 0), TypeError);
});

test("a segment of more than 4 GiB: one buffer where Node.js has one so large, and all of it by read() and write()", async (t) => {
  const client = await connected(t, await startDaemon(t, { config: { limits: { bytes: "64G" } } }));
  const size = 5 * 2 ** 30;
  const segment = await client.create("a", size, { reserve: "lazy" });
  segment.write("xy", size - 2);
  const reader = await client.open("a");
  assert.equal(reader.read(size - 2).toString(), "xy");
  if (size <= constants.MAX_LENGTH) {
    assert.equal(new Uint8Array(reader.buffer)[size - 1], 0x79);
    return;
  }
  assert.throws(() => segment.buffer, (error) => error instanceof shmd.MemoryError && error.code === "ERR_BUFFER_TOO_LARGE");
  await segment.close();
  assert.equal((await client.describe("a")).attachments, 1);
});
