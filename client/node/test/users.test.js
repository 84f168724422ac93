// Other users: what the kernel and the daemon let them do. As root alone.
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { connected, readableCopy, runScript, startDaemon, temporaryDirectory } from "./support/daemon.js";

const asNobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
const skip = process.getuid() === 0 ? false : "only root can be other users";

const begin = `import * as shmd from "shmd";
  const client = await shmd.connect();
  const tell = (promise) => promise.then(
    (value) => console.log(value instanceof shmd.Segment ? "opened" : "done"), (error) => console.log(error.name));`;

test("mode and entries decide what another user may", { skip }, async (t) => {
  const daemon = await startDaemon(t);
  const client = await connected(t, daemon);
  await client.create("private", 10);
  await client.create("readable", 10, { mode: 0o644 });
  await client.create("entered", 10, { acl: [{ uid: 65534, access: "write" }] });
  const { output, errors } = await runScript(
    t,
    `${begin}
     await tell(client.open("private"));
     await tell(client.describe("private"));
     await tell(client.open("readable"));
     await tell(client.open("readable", { access: "write" }));
     await tell(client.delete("readable"));
     await tell(client.setAttributes("readable", { mode: 0o666 }));
     await tell(client.open("entered", { access: "write" }));
     await tell(client.create("user/0/a", 10));
     const keys = [];
     for await (const { key } of client.list()) keys.push(key);
     console.log(keys.join());`,
    { setpriv: asNobody, env: { SHMD_SOCKET: daemon.socket }, index: readableCopy(t) },
  );
  const denied = "PermissionDeniedError";
  const lines = [denied, denied, "opened", denied, denied, denied, "opened", denied, "readable,entered", ""];
  assert.equal(output, lines.join("\n"), errors);
});

test("a limit on one user", { skip }, async (t) => {
  const daemon = await startDaemon(t, { config: { limits: { perUid: { segments: 1 } } } });
  const { output, errors } = await runScript(
    t,
    `${begin}
     await tell(client.create("a", 10));
     const error = await client.create("b", 10).catch((error) => error);
     console.log(error.name, JSON.stringify(error.parameters));`,
    { setpriv: asNobody, env: { SHMD_SOCKET: daemon.socket }, index: readableCopy(t) },
  );
  assert.equal(output, 'opened\nQuotaExceededError {"resource":"segments","limit":1}\n', errors);
});

test("after a change of user the next call is made as that user; what was granted stays", { skip }, async (t) => {
  const daemon = await startDaemon(t);
  const { output, errors } = await runScript(
    t,
    `${begin}
     const segment = await client.create("roots", 10);
     process.setegid(65534);
     process.seteuid(65534);
     await tell(client.open("roots"));
     const own = await client.create("nobodys", 10);
     console.log(own.info.ownerUid, (await segment.remap()).attachments);
     segment.write("x");
     await segment.close();
     process.seteuid(0);
     process.setegid(0);
     console.log((await client.describe("roots")).attachments);`,
    { env: { SHMD_SOCKET: daemon.socket } },
  );
  assert.equal(output, "PermissionDeniedError\n65534 1\n0\n", errors);
});

test("the socket is found in the order of the protocol, and not in another user's directory", { skip }, async (t) => {
  if (existsSync("/run/shmd/io.shmd.Segments")) return t.skip("this machine has a system instance");
  const index = readableCopy(t);
  const run = async (env, setpriv = asNobody) => {
    const clean = { SHMD_SOCKET: "", SHMD_CONTROL_SOCKET: "", XDG_RUNTIME_DIR: "", ...env };
    const script = `import { connect } from "shmd";
      console.log(await connect({ control: process.env.CONTROL === "1" }).then(
        (client) => client.socketPath, (error) => error.code + " " + error.message));`;
    return (await runScript(t, script, { setpriv, env: clean, index })).output.trim();
  };
  const runtime = temporaryDirectory(t);
  const directory = join(runtime, "shmd");
  mkdirSync(directory, { mode: 0o755 });
  const daemon = await startDaemon(t, { directory });
  assert.equal(await run({ XDG_RUNTIME_DIR: runtime }, []), daemon.socket);
  assert.equal(await run({ XDG_RUNTIME_DIR: runtime, CONTROL: "1" }, []), daemon.control);
  assert.match(await run({ XDG_RUNTIME_DIR: runtime }), /^ECONNREFUSED there is no system instance of shmd, and .* is not trusted/);
  const writable = temporaryDirectory(t);
  mkdirSync(join(writable, "shmd"));
  chmodSync(join(writable, "shmd"), 0o775);
  assert.match(await run({ XDG_RUNTIME_DIR: writable }, []), /^ECONNREFUSED .* is not trusted/);
  const linked = temporaryDirectory(t);
  symlinkSync(directory, join(linked, "shmd"));
  assert.match(await run({ XDG_RUNTIME_DIR: linked }, []), /^ECONNREFUSED .* is not trusted/);
  assert.match(await run({}), /^ECONNREFUSED no daemon answers at \/tmp\/shmd-65534\/io.shmd.Segments/);
  assert.equal(await run({ SHMD_SOCKET: daemon.socket }), daemon.socket);
  assert.equal(await run({ SHMD_SOCKET: daemon.socket, CONTROL: "1" }, []), daemon.control);
  assert.match(await run({ SHMD_SOCKET: "/tmp/x.sock", CONTROL: "1" }, []), /\/tmp\/x\.sock\.control/);
  assert.equal(await run({ SHMD_CONTROL_SOCKET: daemon.control, CONTROL: "1" }, []), daemon.control);
});
