// Waiting for a key, watching, and what a program does that waits for nothing.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import * as shmd from "../index.js";
import { connected, runScript, startDaemon, startFake, startHelper, temporaryDirectory } from "./support/daemon.js";

/** Watches until so many events have come after "ready". */
async function ready(watch) {
  const before = [];
  for (;;) {
    const { value } = await watch.next();
    if (value.event === "ready") return before;
    before.push(value);
  }
}

/** Fulfilled once somebody waits for the daemon beside this client: its connections tell. */
async function connectionsBecome(control, count) {
  while ((await control.call("io.shmd.Control.GetStatus")).connections !== count);
}

test("open waits for the key, and other calls go on meanwhile", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const control = await connected(t, { socket: daemon.control });
  await client.list().next();
  const { connections } = await control.call("io.shmd.Control.GetStatus");
  const waiting = client.open("later", { waitUsec: Infinity });
  await connectionsBecome(control, connections + 1);
  const segment = await client.create("later", 10, { staged: true });
  segment.write("there");
  await segment.publish();
  assert.equal((await waiting).read(0, 5).toString(), "there");
  await connectionsBecome(control, connections);
});

test("a wait is over at its time, or at once", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const begin = performance.now();
  await assert.rejects(client.open("never", { waitUsec: 50_000 }), shmd.NoSuchSegmentError);
  assert.ok(performance.now() - begin >= 49);
  await assert.rejects(client.open("never", { waitUsec: 0 }), shmd.NoSuchSegmentError);
  await assert.rejects(client.open({ id: 7 }, { waitUsec: 50_000 }), shmd.NoSuchSegmentError);
  await assert.rejects(client.open("no key", { waitUsec: 50_000 }), shmd.InvalidKeyError);
  await client.create("there", 10);
  assert.equal((await client.open("there", { waitUsec: 1 })).size, 10);
});

test("a signal ends a wait, with its reason, and the connection with it", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const control = await connected(t, { socket: daemon.control });
  await client.list().next();
  const { connections } = await control.call("io.shmd.Control.GetStatus");
  const controller = new AbortController();
  const waiting = client.open("never", { waitUsec: Infinity, signal: controller.signal });
  const rejected = assert.rejects(waiting, (error) => error === controller.signal.reason && error.name === "AbortError");
  await connectionsBecome(control, connections + 1);
  controller.abort();
  await rejected;
  await connectionsBecome(control, connections);
  await assert.rejects(client.open("never", { signal: AbortSignal.abort("why") }), (error) => error === "why");
  const timeout = AbortSignal.timeout(10);
  // The timer of the signal keeps nothing alive; the wait does.
  await assert.rejects(client.open("never", { waitUsec: Infinity, signal: timeout }), { name: "TimeoutError" });
});

test("a watch tells what there is, and then everything in its order", async (t) => {
  const client = await connected(t, await startDaemon(t));
  await client.create("w/old", 10);
  await client.create("else", 10);
  const watch = client.watch("w/");
  assert.deepEqual((await ready(watch)).map(({ event, segment }) => [event, segment.key]), [["present", "w/old"]]);

  const segment = await client.create("w/new", 10, { capacityBytes: 20, lifetime: "lease", leaseUsec: 10_000_000 });
  await segment.resize(20);
  await client.setAttributes("w/new", { labels: { a: "b" } });
  await segment.seal();
  await segment.close();
  const staged = await client.create("w/new", 5, { staged: true });
  await staged.publish({ replace: true });
  await client.delete("w/new");
  const told = [];
  for await (const { event, segment: at } of watch) {
    if (["attached", "detached"].includes(event)) continue;
    told.push([event, at.key, at.sizeBytes]);
    if (event === "deleted") break;
  }
  assert.deepEqual(told, [
    ["created", "w/new", 10],
    ["resized", "w/new", 20],
    ["changed", "w/new", 20],
    ["sealed", "w/new", 20],
    ["replaced", "w/new", 20],
    ["published", "w/new", 5],
    ["deleted", "w/new", 5],
  ]);
  // break has ended it.
  assert.deepEqual(await watch.next(), { done: true, value: undefined });
});

test("a watch ends with its signal, with close(), and with the daemon", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const controller = new AbortController();
  const aborted = client.watch("", { signal: controller.signal });
  await ready(aborted);
  const next = aborted.next();
  controller.abort("enough");
  await assert.rejects(next, (error) => error === "enough");
  assert.equal((await aborted.next()).done, true);
  const never = client.watch("", { signal: AbortSignal.abort("before") });
  await assert.rejects(never.opened(), (error) => error === "before");
  await assert.rejects(never.next(), (error) => error === "before");

  const closed = client.watch();
  await ready(closed);
  const pending = closed.next();
  await closed.close();
  assert.equal((await pending).done, true);
  const unopened = client.watch();
  await unopened.close();
  assert.equal((await unopened.next()).done, true);

  const lost = client.watch();
  await ready(lost);
  const last = lost.next();
  await daemon.kill();
  await assert.rejects(last, (error) => error instanceof shmd.DisconnectedError && /cannot watch segments/.test(error.message));
  assert.equal((await lost.next()).done, true);
  const none = client.watch();
  await assert.rejects(none.next(), shmd.ConnectError);
});

test("a watch that is refused, and one that is told nonsense", async (t) => {
  const client = await connected(t, await startDaemon(t, { config: { limits: { perUid: { watches: 1 } } } }));
  await assert.rejects(client.watch(7).next(), shmd.InvalidParameterError);
  const fake = await startFake(t);
  const other = await connected(t, fake);
  await fake.answer({ text: '{"parameters":{"event":"born"},"continues":true}\0' });
  await assert.rejects(other.watch().next(), shmd.ProtocolError);
});

test("a watcher that is slow loses events, is told so, and costs no memory meanwhile", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const watch = client.watch("slow/");
  await ready(watch);
  // More than socket, queue of the daemon and our own take.
  const labels = { a: "x".repeat(1000), b: "x".repeat(1000), c: "x".repeat(1000) };
  await client.create("slow/a", 10, { labels });
  const many = 4000;
  for (let i = 0; i < many; i++) await client.setAttributes("slow/a", { mode: i % 2 ? 0o600 : 0o640 });
  const events = [];
  for await (const { event } of watch) {
    events.push(event);
    if (events.includes("lost") && event === "ready") break;
  }
  assert.ok(events.length < many);
  assert.deepEqual(events.slice(-3), ["lost", "present", "ready"]);
});

test("an idle client does not keep the process alive, nor does a watch that nobody waits for; a pending call does", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const begin = `import { connect } from "shmd";
    const client = await connect({ socket: ${JSON.stringify(daemon.socket)} });`;
  const idle = await runScript(t, `${begin}
    const segment = await client.create("idle", 10);
    const watch = client.watch();
    await watch.next();
    console.log("idle");`);
  assert.deepEqual([idle.output, idle.code, idle.errors], ["idle\n", 0, ""]);

  const watch = client.watch("pending");
  const waiting = runScript(t, `${begin}
    await client.create("pending", 10).then((segment) => segment.close());
    const segment = await client.open("awaited", { waitUsec: Infinity });
    console.log(segment.key);`);
  for await (const { event } of watch) if (event === "detached") break;
  await client.create("awaited", 10);
  assert.deepEqual(await waiting.then(({ output, code }) => [output, code]), ["awaited\n", 0]);
});

test("a daemon whose queue of new connections is full is asked again, until there is room or a signal comes", async (t) => {
  const path = join(temporaryDirectory(t), "socket");
  // Listens with room for one, and accepts nobody before it is told.
  const helper = await startHelper(t, "full_queue.py", [path]);
  const first = [await shmd.connect({ socket: path }), await shmd.connect({ socket: path })];
  const signal = AbortSignal.timeout(20);
  await assert.rejects(shmd.connect({ socket: path, signal }), { name: "TimeoutError" });
  const late = shmd.connect({ socket: path });
  await helper.ask({ op: "accept" });
  await (await late).close();
  await Promise.all(first.map((client) => client.close()));
});

test("nothing blocks the loop: timers go on while the daemon does not answer", async (t) => {
  const fake = await startFake(t);
  const client = await connected(t, fake);
  const call = client.describe("a");
  await fake.told();
  let ticks = 0;
  await new Promise((resolve) => {
    const timer = setInterval(() => ++ticks === 5 && resolve(clearInterval(timer)), 1);
  });
  assert.equal(ticks, 5);
  const rejected = assert.rejects(call, shmd.ShmdError);
  // It is made again, once.
  await fake.answer({ unasked: true, hangUp: true });
  fake.end();
  await rejected;
});
