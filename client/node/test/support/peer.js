// Another process: it is told a JSON object a line on stdin, {"op": ...}, and answers {"done": ...}, one after the other. It ends
// with its stdin.
import { createInterface } from "node:readline";

import { connect } from "../../index.js";

const [socket, key, access] = process.argv.slice(2);
const client = await connect({ socket });
const segment = await client.open(key, { access });
await segment.openSyncArea();

const held = [];
let writing = false;
let writer = Promise.resolve();

/** All numbers of the segment are the same between two sections, and never in one. */
async function write() {
  const numbers = new Uint32Array(segment.buffer);
  for (let i = 1; writing; i++) {
    await segment.withWriteSection(() => void numbers.fill(i));
    if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

const operations = {
  /** how: the name of a function that makes a lock. */
  async take({ how, timeout }) {
    const made = await segment[how]({ timeout });
    held.push(made);
    return { ownerDied: made.ownerDied };
  },
  /** The first that was taken. */
  release() {
    const first = held.shift();
    first.unlock?.();
    first.end?.();
  },
  makeConsistent: () => held[0].makeConsistent(),
  /** Half of the segment, in a section that goes on. */
  async writeHalf() {
    held.push(await segment.beginWrite());
    new Uint8Array(segment.buffer).fill(0xff, 0, segment.size / 2);
  },
  startWriting() {
    writing = true;
    writer = write();
  },
  async stopWriting() {
    writing = false;
    await writer;
  },
  /** Adds to the number at the segment's begin, with a look elsewhere in between. */
  async count({ rounds, how }) {
    const numbers = new Uint32Array(segment.buffer);
    for (let i = 0; i < rounds; i++) {
      await segment[how](async () => {
        const before = numbers[0];
        await null;
        numbers[0] = before + 1;
      });
    }
  },
  notify: () => segment.notify(),
  wait: ({ after }) => segment.waitForVersion(after),
  /** Answers each version of the other segment of the two with one of this. */
  async echo({ rounds, other }) {
    const from = await client.open(other);
    for (let i = 0; i < rounds; i++) {
      await from.waitForVersion(i);
      await segment.notify();
    }
  },
};

const tell = (done) => console.log(JSON.stringify({ done: done ?? null }));
tell();
for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...options } = JSON.parse(line);
  try {
    tell(await operations[op](options));
  } catch (error) {
    tell({ error: `${error.name}: ${error.message}` });
  }
}
process.exit();
