// Builds the native part with node-gyp, which npm brings, after `npm install`. Without this file node-gyp would download the headers
// of this Node.js; nearly every Node.js has them beside itself, and then nothing needs to be downloaded.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const directory = dirname(fileURLToPath(import.meta.url));

/** Runs a program of npm's; its exit status. */
function run(path, fallback, args, environment) {
  const command = path ? [process.execPath, path] : [fallback];
  const result = spawnSync(command[0], [...command.slice(1), ...args], {
    cwd: directory,
    stdio: "inherit",
    env: { ...process.env, ...environment },
  });
  if (result.error) console.error(`shmd: cannot run ${command.join(" ")}: ${result.error.message}`);
  return result.status ?? 1;
}

/** npm installs no dependencies of a directory that it only links to, as for `npm install ./client/node`. */
function installDependencies() {
  try {
    createRequire(import.meta.url).resolve("node-addon-api");
    return 0;
  } catch {
    const args = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"];
    return run(process.env.npm_execpath, "npm", args, { npm_config_global: "", npm_config_local_prefix: directory });
  }
}

/** The directory whose include/node has the headers of the very Node.js that runs this, or undefined. */
function findHeaders() {
  const candidates = [process.env.npm_config_nodedir, dirname(dirname(process.execPath)), "/usr"];
  return candidates.find((candidate) => {
    if (!candidate) return false;
    const header = join(candidate, "include/node/node_version.h");
    if (!existsSync(header)) return false;
    const [, major] = /#define NODE_MAJOR_VERSION (\d+)/.exec(readFileSync(header, "utf8")) ?? [];
    return major === process.versions.node.split(".")[0];
  });
}

/** The headers that other clients use too are packed with this one, and are copied before that from the rest of the checkout. */
function shareHeaders() {
  const source = process.env.SHMD_SOURCE_DIR ?? dirname(dirname(directory));
  const headers = ["client/sync/sync_core.h", "client/sync/sync_wait.h", "protocol/sync_area.h"].map((header) => join(source, header));
  if (!headers.every((header) => existsSync(header))) return;
  mkdirSync(join(directory, "native/shared"), { recursive: true });
  for (const header of headers) copyFileSync(header, join(directory, "native/shared", basename(header)));
}

function build() {
  const headers = findHeaders();
  // node-gyp listens to the environment more than to its arguments.
  return run(process.env.npm_config_node_gyp, "node-gyp", ["rebuild"], headers ? { npm_config_nodedir: headers } : {});
}

shareHeaders();
// So that they can be packed.
if (process.argv[2] !== "--headers") process.exitCode = installDependencies() || build();
