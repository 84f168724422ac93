// The other process of run.mjs: sums over what it is sent or can open, and answers versions.
import { createRequire } from "node:module";
import { connect as connectSocket } from "node:net";
import { resolve } from "node:path";

import { connect } from "../index.js";

const size = Number(process.argv[2]);
const client = await connect();
const received = Buffer.alloc(size);
let filled = 0;
let complete = () => {};
const socket = connectSocket(process.argv[3]);
socket.on("data", (chunk) => {
  // A byte alone wants to go back.
  if (chunk.length === 1 && filled === 0) return socket.write("x");
  filled += chunk.copy(received, filled);
  if (filled === size) complete();
});

function sumOf(buffer, offset) {
  const numbers = new Float64Array(buffer, offset, size / 8);
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i];
  return sum;
}

const ways = {
  async socket() {
    if (filled < size) await new Promise((done) => (complete = done));
    filled = 0;
    return sumOf(received.buffer, received.byteOffset);
  },
  async segment({ key }) {
    const segment = await client.open(key);
    const sum = sumOf(segment.buffer, 0);
    await segment.close();
    return sum;
  },
  /** Answers each version with one. */
  async versions({ keys, count }) {
    const [from, to] = await client.openMany(keys, { access: "write" });
    let version = 0;
    for (let i = 0; i < count; i++) {
      version = await from.waitForVersion(version);
      await to.notify();
    }
    await Promise.all([from.close(), to.close()]);
    return version;
  },
  async "shm-typed-array"({ key, path }) {
    const shm = createRequire(resolve(path))("shm-typed-array");
    const array = shm.get(key, "Buffer");
    const sum = sumOf(array.buffer, array.byteOffset);
    shm.detach(key);
    return sum;
  },
};

process.on("message", async (request) => process.send({ sum: await ways[request.by](request) }));
process.on("disconnect", () => process.exit());
