// The conformance agent of Node.js: one JSON request a line in, one JSON answer a line out. Uses the package alone, from
// $SHMD_NODE_PACKAGE, a directory where it is built, else from the source tree.
import { constants } from "node:buffer";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";

const directory = resolve(process.env.SHMD_NODE_PACKAGE || fileURLToPath(new URL("../../../client/node", import.meta.url)));
const shmd = await import(pathToFileURL(join(directory, "index.js")).href);

/** @type {import("../../../client/node/index.js").Client | undefined} */
let connected;
const handles = new Map();
const watches = new Map();
let last = 0;

const client = async () => (connected ??= await shmd.connect());
const target = ({ key, id }) => (id === undefined ? key : { id });

function keep(segment) {
  handles.set(++last, segment);
  return { handle: last, segment: segment.info };
}

function held(handle) {
  const segment = handles.get(handle);
  if (!segment) throw new Error(`there is no handle ${handle}`);
  return segment;
}

function failure(error) {
  const local = error.constructor.name.replace(/Error$/, "");
  return {
    name: error instanceof shmd.RemoteError ? error.varlinkName : error instanceof shmd.ShmdError ? local : "",
    parameters: error.parameters ?? {},
    class: error.constructor.name,
    message: error.message,
  };
}

const operations = {
  async create({ key, sizeBytes, ...options }) {
    const segment = await (await client()).create(key, sizeBytes, options);
    return { ...keep(segment), created: segment.created };
  },
  async open({ access, waitUsec, sealed, ...named }) {
    return keep(await (await client()).open(target(named), { access, waitUsec, sealed }));
  },
  async openMany({ keys, access }) {
    const all = await (await client()).openMany(keys, { access });
    return { results: all.map((each) => (each instanceof Error ? { error: failure(each) } : keep(each))) };
  },
  async write({ handle, offset, hex }) {
    held(handle).write(Buffer.from(hex, "hex"), offset);
    return {};
  },
  async read({ handle, offset, length }) {
    const segment = held(handle);
    if (offset + length > segment.size) throw new RangeError("outside of the segment");
    // A view of the memory, where Node.js has one so large.
    const large = segment.size > constants.MAX_LENGTH;
    return { hex: (large ? segment.read(offset, length) : Buffer.from(segment.buffer, offset, length)).toString("hex") };
  },
  async describe(named) {
    return { segment: await (await client()).describe(target(named)) };
  },
  async list({ prefix }) {
    const segments = [];
    for await (const segment of (await client()).list(prefix)) segments.push(segment);
    return { segments };
  },
  async publish({ handle, key, replace }) {
    return { segment: await held(handle).publish({ key, replace }) };
  },
  async seal({ handle }) {
    return { segment: await held(handle).seal() };
  },
  async resize({ handle, sizeBytes }) {
    return { segment: await held(handle).resize(sizeBytes) };
  },
  async remap({ handle }) {
    return { segment: await held(handle).remap() };
  },
  async setAttributes({ key, id, ...attributes }) {
    return { segment: await (await client()).setAttributes(target({ key, id }), attributes) };
  },
  async renew(named) {
    return { segment: await (await client()).renew(target(named)) };
  },
  async delete(named) {
    await (await client()).delete(target(named));
    return {};
  },
  async close({ handle }) {
    // It stays known: what is done with it afterwards is refused by the package.
    await held(handle).close();
    return {};
  },
  async watch({ prefix }) {
    const watch = (await client()).watch(prefix);
    await watch.opened();
    watches.set(++last, watch);
    return { watch: last };
  },
  async nextEvent({ watch }) {
    const { done, value } = await watches.get(watch).next();
    if (done) throw new Error("the watch is over");
    return value.segment ? value : { event: value.event };
  },
  async unwatch({ watch }) {
    await watches.get(watch).close();
    watches.delete(watch);
    return {};
  },
  async capabilities() {
    const { version } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    return { language: "node", version, missing: [] };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...request } = JSON.parse(line);
  let answer;
  try {
    if (!Object.hasOwn(operations, op)) throw new Error(`there is no operation ${op}`);
    answer = { ok: await operations[op](request) };
  } catch (error) {
    answer = { error: failure(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await connected?.close();
process.exit(0);
