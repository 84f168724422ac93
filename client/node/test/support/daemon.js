// A real daemon for a test, and everything around it. Nothing is left behind, however the test ends.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";

import { connect } from "../../index.js";

const daemonPath = process.env.SHMD_DAEMON;
if (!daemonPath || !existsSync(daemonPath)) throw new Error("SHMD_DAEMON must be the path of shmd");

/** The repository: the protocol's vectors are in it. */
export const source = process.env.SHMD_SOURCE_DIR ?? fileURLToPath(new URL("../../../..", import.meta.url));

export function temporaryDirectory(t) {
  const directory = mkdtempSync(join(tmpdir(), "shmd-node-"));
  chmodSync(directory, 0o755);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts a program that dies with this process, and is ended after the test: by the end of its stdin if that is a pipe. */
export function start(t, command, args, options) {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], options);
  const ended = once(child, "exit");
  t.after(async () => {
    if (child.stdin) child.stdin.end();
    else if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await ended;
  });
  return { child, ended };
}

/** A daemon without a service manager: its segments end with it. */
export async function startDaemon(t, { config, directory = temporaryDirectory(t) } = {}) {
  const socket = join(directory, "io.shmd.Segments");
  const control = join(directory, "io.shmd.Control");
  const file = join(directory, "shmd.conf");
  const args = ["--socket", socket, "--control-socket", control];
  if (config) {
    writeFileSync(file, JSON.stringify(config));
    args.push("--config", file);
  }
  const { child, ended } = start(t, daemonPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  await new Promise((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text) => {
      log += text;
      if (/ info ready$/m.test(log)) resolve();
    });
    child.once("exit", () => reject(new Error(`the daemon ended: ${log}`)));
  });
  return {
    socket,
    control,
    file,
    directory,
    pid: child.pid,
    log: () => log,
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Connects a client that is closed after the test. */
export async function connected(t, daemon, options) {
  const client = await connect({ socket: daemon.socket, ...options });
  t.after(() => client.close());
  return client;
}

/** A helper in Python or JavaScript that is told a JSON object a line, and tells some. */
export async function startHelper(t, name, args) {
  const path = fileURLToPath(new URL(name, import.meta.url));
  const program = name.endsWith(".py") ? "python3" : process.execPath;
  const { child, ended } = start(t, program, [path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  // {"done": ...} answers a command; all else it tells by itself.
  const answers = queue(name);
  const events = queue(name);
  createInterface({ input: child.stdout })
    .on("line", (line) => {
      const told = JSON.parse(line);
      (told.done === undefined ? events : answers).put(told);
    })
    .on("close", () => [answers, events].forEach((each) => each.end()));
  const ask = (command) => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    return answers.take();
  };
  const kill = () => (child.kill("SIGKILL"), ended);
  return { ...(await answers.take()), pid: child.pid, ask, told: () => events.take(), end: () => child.stdin.end(), kill };
}

/**
 * Another process that has this segment open, and does with it what it is told: see peer.js.
 * @param {{socket: string}} daemon
 */
export async function startPeer(t, daemon, key, access = "write") {
  const { ask, kill, pid } = await startHelper(t, "peer.js", [daemon.socket, key, access]);
  const does = async (op, options) => {
    const { done } = await ask({ op, ...options });
    if (done?.error) throw new Error(`${op}: ${done.error}`);
    return done;
  };
  return { does, kill, pid };
}

function queue(name) {
  const items = [];
  let wake = () => {};
  let over = false;
  return {
    put: (item) => (items.push(item), wake()),
    end: () => ((over = true), wake()),
    async take() {
      while (items.length === 0) {
        if (over) throw new Error(`${name} has ended`);
        await new Promise((resolve) => (wake = resolve));
      }
      return items.shift();
    },
  };
}

/** A daemon whose service manager keeps its segments over its end. start, stop and kill. */
export async function startManaged(t) {
  const helper = await startHelper(t, "managed_daemon.py", [join(source, "tests/support"), daemonPath]);
  const make = (op) => () => helper.ask({ op });
  return { socket: helper.socket, start: make("start"), stop: make("stop"), kill: make("kill"), empty: make("empty") };
}

/** What plays the daemon: see fake_daemon.py. */
export async function startFake(t) {
  const socket = join(temporaryDirectory(t), "socket");
  const { ask, told, end } = await startHelper(t, "fake_daemon.py", [socket]);
  return { socket, answer: (answer) => ask({ op: "answer", ...answer }), told, end };
}

/** A copy of this package that every user may read: its index.js. */
export function readableCopy(t) {
  const directory = temporaryDirectory(t);
  const from = fileURLToPath(new URL("../..", import.meta.url));
  for (const part of ["package.json", "index.js", "lib", "build/Release/shmd.node"]) {
    cpSync(join(from, part), join(directory, part), { recursive: true });
  }
  execFileSync("chmod", ["-R", "a+rX", directory]);
  return pathToFileURL(join(directory, "index.js")).href;
}

const ownIndex = new URL("../../index.js", import.meta.url).href;

/** Runs a program of JavaScript, with this package as "shmd". What it printed. */
export async function runScript(t, script, { env = {}, setpriv = [], flags = [], index = ownIndex } = {}) {
  const code = script.replaceAll('"shmd"', JSON.stringify(index));
  const args = [...setpriv, process.execPath, ...flags, "--input-type=module", "--eval", code];
  const { child, ended } = start(t, args.shift(), args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "", NODE_TEST_CONTEXT: undefined, ...env },
  });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
  const closed = once(child, "close");
  const [code_, signal] = await ended;
  await closed;
  return { output, errors, code: code_, signal };
}

/** Descriptors of this process, and mappings of memory of this name: of segments of so many bytes, or of all. */
export function held(bytes, name = "/memfd:shmd ") {
  const pages = (line) => line.split(" ")[0].split("-").map((address) => parseInt(address, 16) / 4096);
  const counts = (line) => {
    const [begin, end] = pages(line);
    return line.includes(name) && (bytes === undefined || end - begin === Math.ceil(bytes / 4096));
  };
  const lines = readFileSync("/proc/self/maps", "utf8").split("\n");
  return { descriptors: readdirSync("/proc/self/fd").length, mapped: lines.filter(counts).length };
}

export async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

/** Collects garbage until the condition holds: finalizers run in turns of the loop. */
export async function collect(condition) {
  for (let i = 0; i < 200; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
    if (await condition()) return true;
  }
  return false;
}
