// What an open and a lock cost, and how sharing by a segment compares with sending the bytes. Prints one JSON object a line:
// {"case", "language", "ratio"}, the time of the other way divided by that of shmd, in the same run: 2 means that shmd takes half.
//   node bench/run.mjs [--size BYTES] [--rounds N] [--shm-typed-array DIRECTORY]
// Environment: SHMD_SOCKET: the daemon; or SHMD_DAEMON: a program to start for the time of the run. --shm-typed-array names a
// directory in which that package is installed.
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { connect } from "../index.js";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: String(2 ** 30) },
    rounds: { type: "string", default: "5" },
    "shm-typed-array": { type: "string" },
  },
});
const size = Math.floor(Number(values.size) / 8) * 8;
const rounds = Number(values.rounds);
const directory = mkdtempSync(join(tmpdir(), "shmd-bench-"));

const source = new Float64Array(size / 8).fill(1);
const bytes = new Uint8Array(source.buffer);

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function timed(count, action) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const begin = process.hrtime.bigint();
    await action();
    times.push(Number(process.hrtime.bigint() - begin));
  }
  return median(times);
}

function tell(name, other, ours) {
  console.log(JSON.stringify({ case: name, language: "node", ratio: Number((other / ours).toPrecision(3)) }));
}

/** A daemon of our own, unless there is one. */
async function startDaemon() {
  if (process.env.SHMD_SOCKET || !process.env.SHMD_DAEMON) return undefined;
  process.env.SHMD_SOCKET = join(directory, "io.shmd.Segments");
  const args = ["--pdeathsig", "KILL", process.env.SHMD_DAEMON, "--socket", process.env.SHMD_SOCKET];
  const daemon = spawn("setpriv", [...args, "--control-socket", join(directory, "io.shmd.Control")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  await new Promise((resolve, reject) => {
    daemon.once("exit", () => reject(new Error(`the daemon ended: ${log}`)));
    daemon.stderr.on("data", (text) => / info ready$/m.test((log += text)) && resolve());
  });
  return daemon;
}

/** The other process: asked with one message, it answers with one, a sum of what there is. */
function startReader(listening) {
  const reader = fork(fileURLToPath(new URL("reader.mjs", import.meta.url)), [String(size), listening]);
  const ask = async (request) => {
    reader.send(request);
    const [{ sum }] = await once(reader, "message");
    return sum;
  };
  return {
    ask,
    async sum(request) {
      const sum = await ask(request);
      if (sum !== source.length) throw new Error(`the reader has ${sum} instead of ${source.length}`);
    },
    async ended() {
      reader.disconnect();
      await once(reader, "exit");
    },
  };
}

/** A byte that goes over a socket and back: what a trip to another process costs at least. */
const benchTrip = (peer) =>
  timed(2000, async () => {
    peer.write("x");
    await once(peer, "data");
  });

/** A small segment. */
async function benchOpen(client, trip) {
  await client.create("bench/small", 4096).then((segment) => segment.close());
  const open = await timed(2000, async () => {
    const segment = await client.open("bench/small");
    void segment.buffer;
    await segment.close();
  });
  await client.delete("bench/small");
  tell("a byte to another process and back / open, map, close", trip, open);
}

/** Locks that nobody else wants, and versions that go to the reader and back. */
async function benchSync(client, reader, trip) {
  const [segment, answers] = await client.createMany(["bench/versions", "bench/answers"].map((key) => ({ key, sizeBytes: 4096 })));
  const words = "a byte to another process and back /";
  const many = 100;
  const lock = await timed(200, async () => {
    for (let i = 0; i < many; i++) (await segment.lock()).unlock();
  });
  tell(`${words} lock and unlock`, trip, lock / many);
  const count = 2000;
  const echo = reader.ask({ by: "versions", keys: ["bench/versions", "bench/answers"], count });
  let version = 0;
  const versions = await timed(count, async () => {
    await segment.notify();
    version = await answers.waitForVersion(version);
  });
  await echo;
  tell(`${words} a version to another process and back`, trip, versions);
  for (const each of [segment, answers]) {
    await client.delete(each.key);
    await each.close();
  }
}

/** The reader sums over what the writer has, or has copied in. */
async function benchData(client, peer, reader) {
  const words = `${size / 2 ** 20} MiB to another process, which sums over it`;
  const fill = async (segment) => {
    new Uint8Array(segment.buffer).set(bytes);
    await reader.sum({ by: "segment", key: "bench/large" });
  };
  const socket = await timed(rounds, async () => {
    const done = reader.sum({ by: "socket" });
    peer.write(bytes);
    await done;
  });
  const fresh = await timed(rounds, async () => {
    const segment = await client.create("bench/large", size);
    await fill(segment);
    await segment.close();
    await client.delete("bench/large");
  });
  tell(`${words}: a Unix socket / a new segment`, socket, fresh);
  const segment = await client.create("bench/large", size, { reserve: "populate" });
  tell(`${words}: a Unix socket / a segment that is there`, socket, await timed(rounds, () => fill(segment)));
  await segment.close();
  await client.delete("bench/large");

  if (!values["shm-typed-array"]) return;
  const path = join(values["shm-typed-array"], "package.json");
  const shm = createRequire(path)("shm-typed-array");
  const other = await timed(rounds, async () => {
    const array = shm.create(size, "Buffer");
    array.set(bytes);
    await reader.sum({ by: "shm-typed-array", key: array.key, path });
    shm.destroy(array.key);
  });
  tell(`${words}: shm-typed-array / a new segment`, other, fresh);
}

const daemon = await startDaemon();
const server = createServer().listen(join(directory, "data"));
await once(server, "listening");
const accepted = once(server, "connection");
const reader = startReader(join(directory, "data"));
const [peer] = await accepted;
try {
  const client = await connect();
  const trip = await benchTrip(peer);
  await benchOpen(client, trip);
  await benchSync(client, reader, trip);
  await benchData(client, peer, reader);
  await client.close();
} finally {
  await reader.ended();
  peer.destroy();
  server.close();
  if (daemon) {
    const gone = once(daemon, "close");
    daemon.removeAllListeners("exit");
    daemon.kill();
    await gone;
  }
  rmSync(directory, { recursive: true });
}
