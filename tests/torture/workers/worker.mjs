// A worker of the torture, in JavaScript. README.md has the contract. Uses the package alone, from $SHMD_NODE_PACKAGE.
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

const [socket, key, seed] = process.argv.slice(2);
if (process.argv.length !== 5) process.exit(2);
const directory = resolve(process.env.SHMD_NODE_PACKAGE || fileURLToPath(new URL("../../../client/node", import.meta.url)));
const shmd = await import(pathToFileURL(join(directory, "index.js")).href);

const WORDS = 14, STEP = 16n, timeout = 60_000;
const M = 0, S = 16, R = 32, REPAIRS = 48; // in words
const me = BigInt(seed);
let state = me;

function random(below) {
  state ^= (state << 13n) & 0xffffffffffffffffn;
  state ^= state >> 7n;
  state ^= (state << 17n) & 0xffffffffffffffffn;
  return Number((state >> 33n) % BigInt(below));
}

const dawdle = async () => {
  if (random(50) === 0) await sleep(random(2));
};

class Violation extends Error {}

function violation(what, seen, at) {
  const [inside, counter, ...words] = seen.slice(at, at + 16);
  return new Violation(`${what}: inside ${inside} counter ${counter} words ${words.join(" ")}`);
}

function holds(seen, at, inside, counter) {
  let good = seen[at] === inside && seen[at + 1] === counter;
  for (let i = 0; i < WORDS; i++) good &&= seen[at + 2 + i] === STEP * counter + BigInt(i);
  return good;
}

function verify(seen, at, what) {
  const copy = seen.slice(at, at + 16);
  if (!holds(copy, 0, 0n, copy[1])) throw violation(what, copy, 0);
}

async function change(at, what) {
  words[at] = me;
  const counter = words[at + 1] + 1n;
  if (random(2)) words[at + 1] = counter;
  const first = random(WORDS);
  for (let i = 0; i < WORDS; i++) {
    const word = (first + i) % WORDS;
    words[at + 2 + word] = STEP * counter + BigInt(word);
    await dawdle();
  }
  words[at + 1] = counter;
  if (!holds(words, at, me, counter)) throw violation(what, words, at);
  words[at] = 0n;
}

async function repair(at) {
  await change(at, "somebody else wrote during a repair");
  words[REPAIRS + at / 16] += 1n;
}

// S is rewritten only where it is torn: snapshots may be reading it if the dead was in no section.
async function repairBoth(held) {
  await repair(M);
  if (!holds(words, S, 0n, words[S + 1])) await repair(S);
  held.makeConsistent();
}

const lock = () =>
  segment.withLock(async (held) => {
    if (held.ownerDied) await repairBoth(held);
    verify(words, M, "M is torn under the mutex");
    verify(words, S, "S is torn under the mutex");
    await change(M, "M: somebody else is inside");
  }, { timeout });

const writeSection = () =>
  segment.withWriteSection(async (held) => {
    if (held.ownerDied) await repairBoth(held);
    verify(words, M, "M is torn in a write section");
    verify(words, S, "S is torn in a write section");
    await change(S, "S: somebody else is inside");
  }, { timeout });

async function snapshot() {
  let copy;
  try {
    copy = await segment.snapshot({ offset: 8 * S, length: 128, timeout });
  } catch (error) {
    if (!(error instanceof shmd.OwnerDiedError)) throw error;
    return random(2) ? lock() : writeSection();
  }
  verify(new BigUint64Array(new Uint8Array(copy).buffer), 0, "a snapshot of S is torn");
}

const readLock = () =>
  segment.withReadLock(async (held) => {
    if (held.ownerDied) return;
    verify(words, R, "R is torn under the read lock");
    await dawdle();
    verify(words, R, "R changes under the read lock");
  }, { timeout });

const writeLock = () =>
  segment.withWriteLock(async (held) => {
    if (held.ownerDied) {
      await repair(R);
      held.makeConsistent();
    }
    verify(words, R, "R is torn under the write lock");
    await change(R, "R: somebody else is inside");
  }, { timeout });

const notify = () => segment.notify();

async function wait() {
  const before = segment.version;
  try {
    const after = await segment.waitForVersion(before, { timeout: 50 });
    if (after <= before) throw new Violation("wait: an old version");
  } catch (error) {
    if (!(error instanceof shmd.TimeoutError)) throw error;
  }
}

// Opens it, and its sync area with it, while the daemon may come and go.
async function opened() {
  for (let attempt = 0; attempt < 1000; attempt++) {
    try {
      const client = await shmd.connect({ socket });
      const found = await client.open(key, { access: "write" });
      await found.openSyncArea();
      return found;
    } catch (error) {
      if (!(error instanceof shmd.ConnectError || error instanceof shmd.DisconnectedError)) throw error;
      await sleep(10);
    }
  }
  throw new Violation("open: no daemon");
}

let segment, words;
try {
  segment = await opened();
  words = new BigUint64Array(segment.buffer);
  process.stdout.write("ready\n");
  const acts = [lock, writeSection, snapshot, readLock, writeLock, notify, wait];
  for (;;) {
    try {
      await acts[random(acts.length)]();
    } catch (error) {
      if (!(error instanceof shmd.ConnectError)) throw error;
    }
  }
} catch (error) {
  console.error(`${error.constructor.name}: ${error.message}`);
  process.exit(3);
}
