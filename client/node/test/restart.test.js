// The daemon ends and comes back, with its segments where a service manager keeps them, and without.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as shmd from "../index.js";
import { all, connected, startDaemon, startManaged } from "./support/daemon.js";

test("open segments go on after a restart, as if nothing had happened", async (t) => {
  const daemon = await startManaged(t);
  const client = await connected(t, daemon);
  const segment = await client.create("kept", 100, { capacityBytes: 200, lifetime: "attached" });
  const staged = await client.create("staged", 10, { staged: true });
  segment.write("before");
  const { buffer } = segment;
  const { attachment } = segment;

  for (const end of [daemon.kill, daemon.stop, daemon.kill]) {
    await end();
    segment.write("between", 50);
    await daemon.start();
    assert.equal((await client.describe("kept")).attachments, 1);
  }
  assert.equal(segment.attachment, attachment);
  assert.equal((await segment.remap()).id, segment.id);
  assert.equal(segment.buffer, buffer);
  await segment.resize(200);
  const other = await connected(t, daemon);
  const reader = await other.open("kept");
  assert.equal(reader.read(0, 6).toString() + reader.read(50, 7).toString(), "beforebetween");
  segment.write("after");
  assert.equal(reader.read(0, 5).toString(), "after");
  await staged.publish();
  assert.equal((await other.describe("staged")).id, staged.id);
  await reader.close();
  await segment.close();
  // The last attachment ended, so the segment did.
  const watch = other.watch("kept");
  for await (const { event } of watch) if (event === "expired" || event === "ready") break;
  await assert.rejects(client.describe("kept"), shmd.NoSuchSegmentError);
});

test("the first call after a restart may be one on a segment", async (t) => {
  const daemon = await startManaged(t);
  const client = await connected(t, daemon);
  const segment = await client.create("a", 10, { staged: true });
  await daemon.kill();
  await daemon.start();
  assert.equal((await segment.publish()).state, "live");
  await daemon.kill();
  await daemon.start();
  assert.equal((await segment.seal()).sealed, true);
  assert.equal((await client.describe("a")).attachments, 1);
});

test("a call that is made while there is no daemon waits in the socket", async (t) => {
  const daemon = await startManaged(t);
  const client = await connected(t, daemon);
  const segment = await client.create("a", 10);
  await daemon.kill();
  const calls = [client.describe("a"), segment.remap(), client.create("b", 10), all(client.list())];
  await daemon.start();
  const [described, remapped, created, listed] = await Promise.all(calls);
  assert.deepEqual([described.id, remapped.id], [segment.id, segment.id]);
  assert.equal(created.key, "b");
  assert.ok(listed.length >= 1);
  assert.equal((await client.describe("a")).attachments, 1);
});

test("a segment that is closed while there is no daemon is given back", async (t) => {
  const daemon = await startManaged(t);
  const client = await connected(t, daemon);
  const segments = await client.createMany(["a", "b", "c"].map((key) => ({ key, sizeBytes: 10 })));
  await daemon.kill();
  // Nobody has connected anew; then somebody has, and the next is closed while that is under way.
  await segments[0].close();
  const calling = client.describe("b");
  await segments[1].close();
  await daemon.start();
  await calling;
  const attachments = async (key) => (await client.describe(key)).attachments;
  while ((await attachments("a")) > 0);
  while ((await attachments("b")) > 0);
  assert.equal(await attachments("c"), 1);
  await segments[2].close();
  assert.equal(await attachments("c"), 0);
});

test("a segment that is closed after the daemon died is given back though nothing else is called", async (t) => {
  const daemon = await startManaged(t);
  const client = await connected(t, daemon);
  const segment = await client.create("a", 10);
  const other = await connected(t, daemon);
  await other.describe("a");
  await daemon.kill();
  await segment.close();
  await daemon.start();
  while ((await other.describe("a")).attachments > 0);
});

test("more grants than one Resume takes are taken up", async (t) => {
  const daemon = await startManaged(t);
  const client = await connected(t, daemon);
  await client.create("many", 4096).then((segment) => segment.close());
  const segments = [];
  while (segments.length < 4100) segments.push(...(await client.openMany(Array(250).fill("many"))));
  await daemon.kill();
  await daemon.start();
  assert.equal((await client.describe("many")).attachments, segments.length);
  await Promise.all(segments.map((segment) => segment.close()));
  assert.equal((await client.describe("many")).attachments, 0);
});

test("a wait for a key outlives restarts", async (t) => {
  const daemon = await startManaged(t);
  const client = await connected(t, daemon);
  const waiting = client.open("later", { waitUsec: Infinity });
  for (let i = 0; i < 3; i++) {
    await client.list().next();
    await daemon.kill();
    await daemon.start();
  }
  const segment = await client.create("later", 10);
  assert.equal((await waiting).id, segment.id);
});

test("a closed client whose segments are open goes on with them after a restart", async (t) => {
  const daemon = await startManaged(t);
  const client = await connected(t, daemon);
  const segment = await client.create("a", 10);
  await client.close();
  await daemon.kill();
  await daemon.start();
  assert.equal((await segment.remap()).attachments, 1);
  await segment.close();
  const other = await connected(t, daemon);
  while ((await other.describe("a")).attachments > 0);
});

test("without a service manager the segments have ended, and the client goes on", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const segment = await client.create("a", 10);
  segment.write("still here");
  await daemon.kill();
  await assert.rejects(client.describe("a"), shmd.ConnectError);
  await assert.rejects(segment.remap(), shmd.ConnectError);
  assert.equal(segment.read().toString(), "still here");

  await startDaemon(t, { directory: daemon.directory });
  await assert.rejects(client.describe("a"), shmd.NoSuchSegmentError);
  await assert.rejects(segment.remap(), (error) => {
    assert.ok(error instanceof shmd.DisconnectedError);
    assert.equal(error.maybeDone, false);
    assert.match(error.message, /cannot describe segment 'a': the connection that it was granted on has ended/);
    return true;
  });
  segment.write("and here", 0);
  await segment.close();
  assert.equal((await client.create("a", 10)).created, true);
});

test("a call that is under way when the daemon dies is made again if that changes nothing", async (t) => {
  const daemon = await startManaged(t);
  const client = await connected(t, daemon);
  await client.create("a", 10);
  for (let i = 0; i < 5; i++) {
    const calls = [client.describe("a"), client.open("a"), client.setAttributes("a", { mode: 0o600 })];
    await daemon.kill();
    await daemon.start();
    for (const { id } of await Promise.all(calls)) assert.ok(id);
  }
});
