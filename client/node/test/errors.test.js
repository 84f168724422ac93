// Every error of the interface descriptions, made by the real daemon where one client can make it, and those that arise here.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import * as shmd from "../index.js";
import { knownErrors } from "../lib/errors.js";
import { connected, source, startDaemon, startFake } from "./support/daemon.js";

/** The names that a test here has seen. */
const seen = new Set();

/**
 * Rejects with this error, as its class, with these parameters, a code, and words.
 */
async function refused(promise, varlinkName, parameters, code, words) {
  await assert.rejects(promise, (error) => {
    const short = varlinkName.split(".").at(-1);
    assert.ok(error instanceof shmd.RemoteError && error instanceof shmd.ShmdError);
    assert.equal(error.varlinkName, varlinkName);
    assert.equal(error.name, varlinkName.includes("SystemV") ? "SystemVFailedError" : `${short}Error`);
    assert.ok(error instanceof shmd[error.name]);
    assert.deepEqual(error.parameters, parameters);
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.match(error.stack, words);
    return true;
  });
  seen.add(varlinkName);
}

const own = (name) => `io.shmd.Segments.${name}`;
const service = (name) => `org.varlink.service.${name}`;

test("errors about one segment", async (t) => {
  const client = await connected(t, await startDaemon(t));
  const segment = await client.create("a", 100, { capacityBytes: 200 });
  await refused(client.open("no"), own("NoSuchSegment"), { key: "no" }, "ENOENT", /cannot open segment 'no' .*no segment has this key/);
  await refused(client.describe({ id: 5 }), own("NoSuchSegment"), { id: 5 }, "ENOENT", /describe segment 5: no segment has this id/);
  await refused(client.create("a", 1), own("SegmentExists"), { key: "a" }, "EEXIST", /create segment 'a' of 1 bytes.*is taken/);
  await refused(client.create("a", 101, { createMode: "any" }), own("SizeMismatch"), { sizeBytes: 100 }, "ERANGE", /only 100 bytes/);
  await refused(client.create("no key", 1), own("InvalidKey"), { key: "no key" }, "EINVAL", /'no key' is not a key/);
  await refused(client.resize("a", 201), own("CapacityExceeded"), { capacityBytes: 200 }, "EFBIG", /capacity is 200 bytes/);
  await refused(client.renew("a"), own("NoLease"), { key: "a" }, "EBADFD", /renew the lease of segment 'a': it has no lease/);
  await refused(client.open("a", { sealed: true }), own("NotSealed"), { key: "a" }, "EBADFD", /it is not sealed/);
  const holders = [{ pid: process.pid, uid: process.getuid(), attachment: segment.attachment, access: "write" }];
  await refused(client.seal("a"), own("SegmentBusy"), { holders }, "EBUSY", new RegExp(`open in process ${process.pid} of user`));
  await segment.seal();
  await refused(client.open("a", { access: "write" }), own("SegmentSealed"), { key: "a" }, "EROFS", /it is sealed/);
  await client.create("b", 1, { sealable: false }).then((each) => each.close());
  await refused(client.seal("b"), own("NotSealable"), { key: "b" }, "EBADFD", /can never be sealed/);
});

test("errors about what there is to give", async (t) => {
  const daemon = await startDaemon(t, { config: { limits: { bytes: 2 ** 50, segments: 2 } } });
  const client = await connected(t, daemon);
  await refused(client.create("a", 2 ** 49), own("OutOfMemory"), { sizeBytes: 2 ** 49 }, "ENOMEM", /has not 562949953421312 bytes/);
  // One page more than the pool has.
  const pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
  const pages = existsSync(pool) ? Number(readFileSync(pool, "utf8")) : 0;
  await assert.rejects(client.create("a", (pages + 1) * 2 ** 21, { hugePages: "huge2M" }), (error) => {
    assert.ok(error instanceof shmd.PlacementUnavailableError);
    assert.equal(error.code, "ENODEV");
    assert.ok(error.message.includes(`${error.parameters.setting} decides that`));
    seen.add(error.varlinkName);
    return true;
  });
  await client.create("a", 1);
  await client.create("b", 1);
  await refused(client.create("c", 1), own("QuotaExceeded"), { resource: "segments", limit: 2 }, "EDQUOT", /limit of 2 on segments/);
});

test("errors about the call", async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  await refused(client.create("a", 1, { stagd: true }), service("InvalidParameter"), { parameter: "stagd" }, "EINVAL", /parameter 'stagd'/);
  await refused(client.create("a", 0), service("InvalidParameter"), { parameter: "sizeBytes" }, "EINVAL", /'sizeBytes'/);
  await refused(client.call("io.shmd.Segments.Fly"), service("MethodNotFound"), { method: "io.shmd.Segments.Fly" }, "ENOTSUP", /no method/);
  await refused(client.call("a.b.C"), service("InterfaceNotFound"), { interface: "a.b" }, "ENOTSUP", /no interface 'a.b'/);
  await refused(client.call("io.shmd.Segments.List"), service("ExpectedMore"), {}, "ENOTSUP", /more than once/);
  const failed = "io.shmd.SystemV.Failed";
  await refused(client.call("io.shmd.SystemV.Remove", { id: 77 }), failed, { name: "EINVAL", errno: 22 }, "EINVAL", /fails with EINVAL/);
});

test("errors of the control socket", async (t) => {
  const daemon = await startDaemon(t, { config: { logLevel: "info" } });
  const control = await connected(t, { socket: daemon.control });
  const client = await connected(t, daemon);
  await refused(control.call("io.shmd.Control.Disconnect", { pid: 1 }), "io.shmd.Control.NoSuchProcess", { pid: 1 }, "ESRCH", /process 1 is not/);
  writeFileSync(daemon.file, "{");
  await assert.rejects(control.call("io.shmd.Control.Reload"), (error) => {
    assert.ok(error instanceof shmd.InvalidConfigurationError);
    assert.ok(error.parameters.reason.includes(daemon.file));
    seen.add(error.varlinkName);
    return true;
  });
  await control.call("io.shmd.Control.Drain", { enable: true });
  await refused(client.create("a", 1), own("Draining"), {}, "ESHUTDOWN", /being drained/);
});

test("errors that only another user, or another daemon, gives", async (t) => {
  const fake = await startFake(t);
  const client = await connected(t, fake);
  const name = (varlinkName, parameters) => fake.answer({ text: `${JSON.stringify({ error: varlinkName, parameters })}\0` });
  await name(service("PermissionDenied"), {});
  await refused(client.describe("a"), service("PermissionDenied"), {}, "EACCES", /user \d+ is not allowed to/);
  await name(service("MethodNotImplemented"), { method: "X" });
  await refused(client.call("x.y.X"), service("MethodNotImplemented"), { method: "X" }, "ENOTSUP", /does not do 'X'/);
  await name(own("SegmentBusy"), { holders: [] });
  await refused(client.seal("a"), own("SegmentBusy"), { holders: [] }, "EBUSY", /mapped for writing though detached/);
  await name("io.shmd.Segments.Haunted", { by: ["ghosts"] });
  await assert.rejects(client.describe("a"), (error) => {
    assert.equal(error.constructor, shmd.RemoteError);
    assert.equal(error.code, "EREMOTEIO");
    assert.deepEqual(error.parameters, { by: ["ghosts"] });
    assert.match(error.message, /cannot describe segment 'a': the daemon answered io.shmd.Segments.Haunted {"by":\["ghosts"\]}/);
    return true;
  });
});

test("no daemon, a path that is too long, and a socket that may not be used", async (t) => {
  const code = (expected, words) => (error) => {
    assert.ok(error instanceof shmd.ConnectError, error);
    assert.equal(error.code, expected);
    assert.match(error.message, words);
    return true;
  };
  await assert.rejects(shmd.connect({ socket: "/nowhere/io.shmd.Segments" }), code("ECONNREFUSED", /no daemon answers at \/nowhere\/.*start shmd/));
  await assert.rejects(shmd.connect({ socket: "/tmp" }), code("ECONNREFUSED", /no daemon answers/));
  await assert.rejects(shmd.connect({ socket: "x".repeat(108) }), code("ENAMETOOLONG", /at most 107 bytes/));
  await assert.rejects(shmd.connect({ socket: "" }), code("EINVAL", /cannot connect/));
  await assert.rejects(shmd.connect({ socket: "a\0b" }), code("EINVAL", /cannot connect/));
  const daemon = await startDaemon(t);
  await assert.rejects(shmd.connect({ socket: daemon.file }), code("ECONNREFUSED", /no daemon/));
  await assert.rejects(shmd.connect({ socket: daemon.socket, signal: AbortSignal.abort("enough") }), (error) => error === "enough");
});

test("every error of the interface descriptions has a class, and a test here", () => {
  const directory = join(source, "protocol");
  const names = [];
  for (const file of readdirSync(directory).filter((each) => each.endsWith(".varlink"))) {
    const text = readFileSync(join(directory, file), "utf8");
    const [, interfaceName] = /^interface (\S+)/m.exec(text);
    for (const [, name] of text.matchAll(/^error (\w+)/gm)) names.push(`${interfaceName}.${name}`);
  }
  assert.ok(names.length >= 22);
  assert.deepEqual([...knownErrors].sort(), names.sort());
  assert.deepEqual(names.filter((name) => !seen.has(name)), []);
});
