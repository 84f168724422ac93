// Worker threads have the package each for themselves; processes that are made inherit nothing.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import { connected, held, runScript, startDaemon } from "./support/daemon.js";

const index = new URL("../index.js", import.meta.url).href;

function worker(t, daemon, code) {
  const made = new Worker(
    new URL(
      `data:text/javascript,${encodeURIComponent(`
        import { parentPort, workerData } from "node:worker_threads";
        import { connect } from ${JSON.stringify(index)};
        const client = await connect({ socket: workerData.socket });
        ${code}`)}`,
    ),
    { workerData: { socket: daemon.socket } },
  );
  t.after(() => made.terminate());
  return made;
}

test("threads share a segment by its key", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const segment = await client.create("shared", 4096);
  const counter = new Int32Array(segment.buffer);
  const workers = Array.from({ length: 4 }, () =>
    worker(t, daemon, `
      const segment = await client.open("shared", { access: "write" });
      const counter = new Int32Array(segment.buffer);
      for (let i = 0; i < 10000; i++) Atomics.add(counter, 0, 1);
      await segment.close();
      await client.close();`),
  );
  const codes = await Promise.all(workers.map((each) => once(each, "exit")));
  assert.deepEqual(codes, [[0], [0], [0], [0]]);
  assert.equal(Atomics.load(counter, 0), 40_000);
  assert.equal((await client.describe("shared")).attachments, 1);
});

test("a thread that is ended in the middle of everything leaves nothing behind", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  const control = await connected(t, { socket: daemon.control });
  await client.create("in-worker", 2 ** 20).then((segment) => segment.close());
  const { connections } = await control.call("io.shmd.Control.GetStatus");
  let before;
  for (let i = 0; i < 10; i++) {
    const made = worker(t, daemon, `
      globalThis.kept = [await client.open("in-worker", { access: "write" }), await client.open("in-worker")];
      globalThis.views = kept.map((segment) => new Uint8Array(segment.buffer));
      globalThis.waiting = client.open("never", { waitUsec: Infinity });
      globalThis.watch = client.watch();
      await watch.next();
      globalThis.next = watch.next();
      globalThis.calls = [client.describe("in-worker"), client.create(null, 10)];
      parentPort.postMessage("busy");
      await new Promise(() => {});`);
    await once(made, "message");
    await made.terminate();
    while ((await control.call("io.shmd.Control.GetStatus")).connections > connections);
    if (i === 0) before = held(2 ** 20);
  }
  assert.deepEqual(held(2 ** 20), before);
  assert.equal(before.mapped, 0);
  assert.equal((await client.describe("in-worker")).attachments, 0);
});

test("a thread that comes to its end with segments open leaves nothing behind", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  await client.create("in-worker", 70_000).then((segment) => segment.close());
  const made = worker(t, daemon, `
    globalThis.segment = await client.open("in-worker");
    globalThis.view = new Uint8Array(segment.buffer);`);
  assert.deepEqual(await once(made, "exit"), [0]);
  assert.equal(held(70_000).mapped, 0);
  while ((await client.describe("in-worker")).attachments > 0);
});

test("a process that is made inherits neither memory nor connection", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("inherited", 10);
  assert.ok(held(10).mapped > 0);
  assert.ok(segment.buffer);
  const maps = execFileSync("cat", ["/proc/self/maps"], { encoding: "utf8" });
  assert.ok(!maps.includes("memfd:"));
  const descriptors = execFileSync("ls", ["-l", "/proc/self/fd"], { encoding: "utf8" });
  assert.ok(!/socket|memfd/.test(descriptors.split("\n").slice(4).join("\n")), descriptors);
});

test("a process that exits, throws, or is killed gives back what it had", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  await client.create("given", 10).then((segment) => segment.close());
  for (const end of ["process.exit(3)", "throw new Error('thrown')", "process.kill(process.pid, 'SIGKILL')"]) {
    const { code, signal } = await runScript(
      t,
      `import { connect } from "shmd";
       const client = await connect({ socket: ${JSON.stringify(daemon.socket)} });
       const segment = await client.open("given");
       const view = new Uint8Array(segment.buffer);
       const pending = client.open("never", { waitUsec: Infinity });
       const watch = client.watch();
       await watch.next();
       ${end};`,
    );
    assert.ok(end.includes("KILL") ? signal === "SIGKILL" : code === (end.includes("exit") ? 3 : 1), `${code} ${signal}`);
    while ((await client.describe("given")).attachments > 0);
  }
});
