// The conversations of protocol/vectors, over this package's own transport against the real daemon.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { encodeCall } from "../lib/calls.js";
import { Transport } from "../lib/transport.js";
import { all, connected, held, source, startDaemon } from "./support/daemon.js";

const directory = join(source, "protocol/vectors");
const files = readdirSync(directory).filter((name) => name.endsWith(".json"));

function matches(pattern, value, saved) {
  if (typeof pattern !== "object" || pattern === null) return pattern === (value ?? null);
  if (Array.isArray(pattern)) {
    return Array.isArray(value) && value.length === pattern.length && pattern.every((item, i) => matches(item, value[i], saved));
  }
  if (pattern.$type !== undefined) {
    const types = { int: Number.isSafeInteger, string: (v) => typeof v === "string", bool: (v) => typeof v === "boolean", array: Array.isArray };
    if (!types[pattern.$type](value)) return false;
    if (pattern.$save !== undefined) saved.set(pattern.$save, value);
    return true;
  }
  return (
    typeof value === "object" && value !== null && Object.entries(pattern).every(([name, item]) => matches(item, value[name], saved))
  );
}

function replyMatches(pattern, reply, saved) {
  return "parameters" in reply && Object.keys(reply).every((name) => name in pattern) && matches(pattern, reply, saved);
}

function substituted(json, saved) {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map((item) => substituted(item, saved));
  if (json.$use !== undefined) return saved.get(json.$use);
  return Object.fromEntries(Object.entries(json).map(([name, item]) => [name, substituted(item, saved)]));
}

function bytesOf(step, saved) {
  const text = step.raw ?? (step.call && JSON.stringify(substituted(step.call, saved)));
  const bytes = text === undefined ? Buffer.from(step.rawBase64, "base64") : Buffer.from(text);
  const padding = Buffer.alloc(Math.max(0, (step.pad ?? 0) - bytes.length), " ");
  return Buffer.concat([bytes, padding, Buffer.from([0])]);
}

async function receiveEach(transport, step, saved) {
  for (const pattern of step.replies ?? (step.reply ? [step.reply] : [])) {
    const reply = JSON.parse(await transport.receive());
    const wanted = substituted(pattern, saved);
    assert.ok(replyMatches(wanted, reply, saved), `wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(reply)}`);
    for (let i = 0; i < (step.fds ?? 0); i++) {
      const descriptor = transport.takeDescriptor();
      assert.ok(descriptor, "a descriptor is missing");
      const memory = descriptor.inspect();
      assert.ok(memory.regular && memory.fixed);
      if (step.fds === 1 && reply.parameters.segment) assert.equal(memory.size, reply.parameters.segment.capacityBytes);
      descriptor.close();
    }
    assert.equal(transport.takeDescriptor(), undefined, "a descriptor that nobody owes");
  }
}

async function replay(daemon, vector) {
  const transport = await Transport.open(daemon[vector.endpoint === "control" ? "control" : "socket"]);
  transport.ref();
  try {
    const saved = new Map();
    for (const step of vector.steps) {
      transport.send(bytesOf(step, saved));
      if (step.close) {
        await assert.rejects(transport.receive(), { code: "ECONNRESET" });
        return;
      }
      await receiveEach(transport, step, saved);
    }
    transport.send(encodeCall("org.varlink.service.GetInfo", {}));
    assert.equal(JSON.parse(await transport.receive()).parameters.product, "shmd");
    assert.equal(transport.buffered, false);
  } finally {
    transport.close();
  }
}

test("the daemon answers every conversation as written, in any order, and nothing is left", async (t) => {
  const daemon = await startDaemon(t);
  assert.ok(files.length > 40, "the vectors are there");
  const client = await connected(t, daemon);
  await all(client.list());
  const before = held();
  const vectors = files.map((name) => [name, JSON.parse(readFileSync(join(directory, name), "utf8"))]);
  for (const [name, vector] of [...vectors, ...vectors.toReversed()]) {
    await t.test(name, async () => {
      assert.ok(["segments", "control"].includes(vector.endpoint));
      await replay(daemon, vector);
      assert.deepEqual(await all(client.list()), []);
    });
  }
  assert.deepEqual(held(), before);
});
