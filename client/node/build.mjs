// Builds the native part with node-gyp, which npm brings. Without this file node-gyp would download the headers of this Node;
// nearly every Node has them installed beside itself, and then nothing needs to be downloaded.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The directory whose include/node has the headers of the very Node that runs this, or undefined. */
function findHeaders() {
  const candidates = [process.env.npm_config_nodedir, dirname(dirname(process.execPath)), "/usr"];
  return candidates.find((directory) => {
    if (!directory) return false;
    const header = join(directory, "include/node/node_version.h");
    if (!existsSync(header)) return false;
    const text = readFileSync(header, "utf8");
    const number = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
    return number("MAJOR") === process.versions.node.split(".")[0];
  });
}

const directory = dirname(fileURLToPath(import.meta.url));
const headers = findHeaders();
const command = process.env.npm_config_node_gyp
  ? [process.execPath, process.env.npm_config_node_gyp]
  : ["node-gyp"];
// node-gyp listens to the environment more than to its arguments.
const result = spawnSync(command[0], [...command.slice(1), "rebuild", "--directory", directory], {
  stdio: "inherit",
  env: { ...process.env, ...(headers && { npm_config_nodedir: headers }) },
});
if (result.error) {
  console.error(`shmd: cannot run node-gyp (${result.error.message}); build with: npm rebuild`);
}
process.exitCode = result.status ?? 1;
