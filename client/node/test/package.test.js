// What is handed out: the names, the documentation, what npm packs.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as shmd from "../index.js";
import { runScript, startDaemon, temporaryDirectory } from "./support/daemon.js";

const file = (name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");

const types = ["index.d.ts", "errors.d.ts", "sync.d.ts"].map(file).join("");

test("the types declare what there is, and nothing else", () => {
  const declared = [...types.matchAll(/^export (?:declare )?(?:class|function|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(shmd).sort());

  for (const [, name, body] of types.matchAll(/^export class (\w+)[^{]*\{\n(.*?)^\}/gms)) {
    const members = [...body.matchAll(/^  (?:static )?(?:readonly )?(\w+)[(<?:]/gm)].map(([, member]) => member);
    const known = new Set(Object.getOwnPropertyNames(shmd[name].prototype).filter((member) => member !== "constructor"));
    // Fields, which a constructor makes.
    for (const field of ["code", "varlinkName", "parameters", "maybeDone"]) known.delete(field);
    const methods = members.filter((member) => !["code", "varlinkName", "parameters", "maybeDone", "constructor"].includes(member));
    const present = (member) => known.has(member) || member in shmd[name];
    assert.deepEqual(methods.filter((member) => !present(member)), [], `${name} lacks what is declared`);
    if (!["ShmdError"].includes(name) && !name.includes("View")) {
      assert.deepEqual([...known].filter((member) => !methods.includes(member)), [], `${name} has more than is declared`);
    }
  }
});

const blocks = [...file("README.md").matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);

const outputs = [
  "42\n",
  "some text\n7\napp/table 1048576\n",
  "first edition - second edition\n",
  "result\npresent result 10\n",
  "true 1\n",
  "version 1: 1.5, 2.5\n1\n",
  "cannot open segment 'nowhere' for reading: no segment has this key\nio.shmd.Segments.NoSuchSegment { key: 'nowhere' }\n",
];

test("every example of the README runs, and prints what it says", async (t) => {
  const daemon = await startDaemon(t);
  assert.equal(blocks.length, outputs.length);
  for (const [i, code] of blocks.entries()) {
    const result = await runScript(t, code, { env: { SHMD_SOCKET: daemon.socket } });
    assert.deepEqual([result.output, result.errors, result.code], [outputs[i], "", 0]);
  }
});

test("npm packs what is needed to build it, and no more", () => {
  const directory = fileURLToPath(new URL("..", import.meta.url));
  const packed = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: directory, encoding: "utf8" }));
  const [{ files }] = Array.isArray(packed) ? packed : Object.values(packed);
  const names = files.map(({ path }) => path);
  for (const needed of ["index.js", "index.d.ts", "errors.d.ts", "README.md", "binding.gyp", "build.mjs", "lib/client.js", "native/channel.cpp",
    "native/shared/sync_core.h", "native/shared/sync_wait.h", "native/shared/sync_area.h"]) {
    assert.ok(names.includes(needed), needed);
  }
  assert.deepEqual(names.filter((name) => /^(test|build|bench|node_modules)\//.test(name)), []);
});

test("npm install of this directory builds it for another project, which finds it by its name", (t) => {
  const directory = temporaryDirectory(t);
  const [copy, project] = [join(directory, "copy"), join(directory, "project")];
  const from = fileURLToPath(new URL("..", import.meta.url));
  cpSync(from, copy, { recursive: true, filter: (path) => !/\/(node_modules|build)$/.test(path) });
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{"name":"project","private":true}');
  const options = { cwd: project, encoding: "utf8", stdio: "pipe" };
  execFileSync("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", copy], options);
  const code = 'import { systemVKey } from "shmd"; console.log(systemVKey(1));';
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", code], options);
  assert.equal(output, "sysv:0x00000001\n");
});

test("the lock file names no place to download from", () => {
  assert.doesNotMatch(file("package-lock.json"), /"resolved"/);
});
