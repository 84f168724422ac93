// Where the daemon's socket is.
import { access, lstat } from "node:fs/promises";

import { ConnectError } from "./errors.js";
import { native } from "./native.js";

const names = { segments: "io.shmd.Segments", control: "io.shmd.Control" };

/** @param {string} name */
function fromEnvironment(name) {
  return native.secure ? undefined : process.env[name] || undefined;
}

/** @param {string} socket the segments socket */
export function controlSocketOf(socket) {
  const slash = socket.lastIndexOf("/") + 1;
  return socket.slice(slash) === names.segments ? socket.slice(0, slash) + names.control : `${socket}.control`;
}

const effectiveUser = () => /** @type {() => number} */ (process.geteuid)();

/**
 * Takes the first of: the environment, the system instance if it is there, the user instance.
 * @param {"segments" | "control"} endpoint
 * @returns {Promise<string>}
 */
export async function findSocket(endpoint) {
  const control = endpoint === "control";
  const own = control ? fromEnvironment("SHMD_CONTROL_SOCKET") : undefined;
  if (own) return own;
  const named = fromEnvironment("SHMD_SOCKET");
  if (named) return control ? controlSocketOf(named) : named;

  const system = `/run/shmd/${names[endpoint]}`;
  const there = await access(system).then(() => true, () => false);
  if (there) return system;

  const base = fromEnvironment("XDG_RUNTIME_DIR");
  const directory = base ? `${base}/shmd` : `/tmp/shmd-${effectiveUser()}`;
  const status = await lstat(directory).catch(() => undefined);
  const trusted = !status || (status.isDirectory() && status.uid === effectiveUser() && (status.mode & 0o022) === 0);
  if (!trusted) {
    throw new ConnectError(
      `there is no system instance of shmd, and ${directory} is not trusted: another user owns it or may write to it`,
      { code: "ECONNREFUSED" },
    );
  }
  return `${directory}/${names[endpoint]}`;
}
