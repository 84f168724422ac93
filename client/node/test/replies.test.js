// The replies of protocol/vectors/client, most of them bad: a socket of the test plays the daemon.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { DisconnectedError, MemoryError, ProtocolError, QuotaExceededError, RemoteError, connect } from "../index.js";
import { held, source, startFake } from "./support/daemon.js";

const directory = join(source, "protocol/vectors/client");

function locate(json, pointer) {
  const path = pointer.split("/").slice(1);
  const last = path.pop();
  return [path.reduce((at, name) => at[name], json), last];
}

function replyOf(vector, { raw, set = {}, remove = [] }) {
  if (raw !== undefined) return raw;
  const reply = structuredClone(vector.reply);
  for (const [pointer, value] of Object.entries(set)) {
    const [parent, name] = locate(reply, pointer);
    parent[name] = value;
  }
  for (const pointer of remove) {
    const [parent, name] = locate(reply, pointer);
    assert.ok(name in parent);
    delete parent[name];
  }
  return JSON.stringify(reply);
}

const calls = {
  "io.shmd.Segments.Create": async (client, { key, sizeBytes }) => (await client.create(key, sizeBytes)).close(),
  "io.shmd.Segments.Describe": (client, { key }) => client.describe(key),
  "io.shmd.Segments.Delete": (client, { key }) => client.delete(key),
};

const outcomes = {
  value: async (call) => void (await call),
  error: (call, { error }) =>
    assert.rejects(call, (thrown) => thrown instanceof RemoteError && thrown.varlinkName === error),
  broken: (call) => assert.rejects(call, (thrown) => thrown instanceof ProtocolError && thrown.code === "EPROTO"),
};

for (const file of readdirSync(directory)) {
  const vector = JSON.parse(readFileSync(join(directory, file), "utf8"));
  test(`client/${file}: ${vector.description}`, async (t) => {
    const fake = await startFake(t);
    for (const each of vector.cases) {
      await t.test(each.description, async () => {
        const before = held(undefined, "memfd:shmd-fake");
        await fake.answer({ text: `${replyOf(vector, each)}\0`, fds: each.fds ?? vector.fds ?? 0, size: 4097 });
        const client = await connect({ socket: fake.socket });
        await outcomes[each.outcome](calls[vector.call.method](client, vector.call.parameters), each);
        assert.deepEqual((await fake.told()).call, vector.call);
        if (each.outcome !== "broken") await client.close();
        // A value of Create is detached first.
        let last = await fake.told();
        if (last.call) last = await fake.told();
        assert.deepEqual(last, { closed: true });
        assert.deepEqual(held(undefined, "memfd:shmd-fake"), before);
      });
    }
  });
}

const granted = JSON.parse(readFileSync(join(directory, "grant.json"), "utf8"));

test("a reply is the same when it comes byte by byte", async (t) => {
  const fake = await startFake(t);
  const text = `${JSON.stringify(granted.reply)}\0`;
  await fake.answer({ text, fds: 1, size: 4097, pieces: text.length });
  const client = await connect({ socket: fake.socket });
  const segment = await client.create("a", 4097);
  assert.equal(segment.size, 4097);
  await segment.close();
  await client.close();
});

const broken = {
  "two replies to one call": { text: '{"parameters":{}}\0{"parameters":{}}\0' },
  "a reply and the beginning of another": { text: '{"parameters":{}}\0{' },
  "a reply that continues": { text: '{"parameters":{},"continues":true}\0' },
  "an error that continues": { text: '{"error":"a.B","continues":true}\0' },
  "bytes that are not UTF-8": { base64: Buffer.from([0x22, 0xff, 0x22, 0]).toString("base64") },
  "a message that is too large": { text: " ".repeat(1024 * 1024 + 1) },
  "null": { text: "null\0" },
};
for (const [name, answer] of Object.entries(broken)) {
  test(`${name} is an answer that makes no sense`, async (t) => {
    const fake = await startFake(t);
    await fake.answer(answer);
    const client = await connect({ socket: fake.socket });
    await assert.rejects(client.delete("a"), ProtocolError);
    // The next call connects anew.
    await fake.answer({ text: '{"parameters":{}}\0' });
    await client.delete("a");
    await client.close();
  });
}

test("memory of another size, that may shrink, or that is none, is refused and nothing stays open", async (t) => {
  const fake = await startFake(t);
  const before = held(undefined, "memfd:shmd-fake");
  const text = `${JSON.stringify(granted.reply)}\0`;
  for (const bad of [{ size: 4096 }, { size: 8192 }, { size: 4097, unsealed: true }]) {
    await fake.answer({ text, fds: 1, ...bad });
    const client = await connect({ socket: fake.socket });
    await assert.rejects(client.create("a", 4097), ProtocolError);
    assert.deepEqual(held(undefined, "memfd:shmd-fake"), before);
    assert.ok((await fake.told()).call);
    assert.deepEqual(await fake.told(), { closed: true });
  }
});

test("a batch with too few results, and one with a descriptor missing", async (t) => {
  const fake = await startFake(t);
  const before = held(undefined, "memfd:shmd-fake");
  const grant = granted.reply.parameters;
  await fake.answer({ text: `${JSON.stringify({ parameters: { results: [{ grant }] } })}\0`, fds: 1, size: 4097 });
  const client = await connect({ socket: fake.socket });
  await assert.rejects(client.openMany(["a", "b"]), ProtocolError);
  await fake.answer({
    text: `${JSON.stringify({ parameters: { grants: [grant, { ...grant, fileDescriptor: 1 }] } })}\0`,
    fds: 1,
    size: 4097,
  });
  await assert.rejects(client.createMany([{ sizeBytes: 4097 }, { sizeBytes: 4097 }]), ProtocolError);
  await client.close();
  assert.deepEqual(held(undefined, "memfd:shmd-fake"), before);
});

test("the refusal of a daemon that takes no more connections is told, though nobody asked", async (t) => {
  const fake = await startFake(t);
  const text = '{"error":"io.shmd.Segments.QuotaExceeded","parameters":{"resource":"connections","limit":3}}\0';
  // The first may be noticed before the call: then that is made on the second connection.
  await fake.answer({ text, unasked: true, hangUp: true });
  await fake.answer({ text, unasked: true, hangUp: true });
  const client = await connect({ socket: fake.socket });
  await assert.rejects(client.describe("a"), (error) => {
    assert.ok(error instanceof QuotaExceededError);
    assert.deepEqual(error.parameters, { resource: "connections", limit: 3 });
    return true;
  });
  await client.close();
});

test("a daemon that hangs up: what may be repeated is, once; anything else is told", async (t) => {
  const fake = await startFake(t);
  const client = await connect({ socket: fake.socket });
  await fake.answer({ hangUp: true });
  await assert.rejects(client.delete("a"), (error) => {
    assert.ok(error instanceof DisconnectedError);
    assert.equal(error.maybeDone, true);
    return true;
  });
  await fake.answer({ hangUp: true });
  await fake.answer({ hangUp: true });
  await assert.rejects(client.describe("a"), DisconnectedError);
  const methods = [];
  for (let i = 0; i < 3; i++) methods.push((await fake.told()).call.method.split(".").at(-1));
  assert.deepEqual(methods, ["Delete", "Describe", "Describe"]);
  await client.close();
});

test("descriptors that the kernel drops are not an answer that makes no sense", async (t) => {
  const fake = await startFake(t);
  const { runScript } = await import("./support/daemon.js");
  await fake.answer({ text: `${JSON.stringify(granted.reply)}\0`, fds: 1, size: 4097 });
  const { output, errors } = await runScript(
    t,
    `import { connect } from "shmd";
     import { openSync, closeSync } from "node:fs";
     const client = await connect({ socket: ${JSON.stringify(fake.socket)} });
     const open = [];
     try { for (;;) open.push(openSync("/dev/null")); } catch {}
     const error = await client.create("a", 4097).catch((error) => error);
     for (const fd of open) closeSync(fd);
     console.log(error.name, error.code);
     await client.close();`,
    { setpriv: ["prlimit", "--nofile=100"] },
  );
  assert.equal(output, "MemoryError EMFILE\n", errors);
  const told = [];
  for (let i = 0; i < 3; i++) told.push((await fake.told()).call.method.split(".").at(-1));
  assert.deepEqual(told, ["Create", "Delete", "Detach"]);
  assert.ok(MemoryError);
});
