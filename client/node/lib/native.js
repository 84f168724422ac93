// Loads the native part, which `npm install` builds.
import { createRequire } from "node:module";

/**
 * @typedef {{
 *   onData: (bytes: Buffer) => void,
 *   onEnd: (errno: number) => void,
 *   connect(path: string): number,
 *   send(bytes: Uint8Array): void,
 *   pause(): void,
 *   resume(): void,
 *   ref(): void,
 *   unref(): void,
 *   close(): void,
 *   takeDescriptor(): Descriptor | undefined,
 *   dropDescriptors(): void,
 *   readonly written: number,
 *   readonly lostDescriptors: boolean,
 * }} Channel
 * @typedef {{
 *   close(): void,
 *   inspect(): {errno: number, size: number, regular: boolean, fixed: boolean},
 * }} Descriptor
 * @typedef {{
 *   replace(descriptor: Descriptor, size: number, protection: number, advice: boolean): void,
 *   buffer(length: number): ArrayBuffer | undefined,
 *   detach(buffer: ArrayBuffer): void,
 *   read(offset: number, target: Uint8Array): void,
 *   write(offset: number, source: Uint8Array): void,
 *   close(): void,
 * }} Mapping
 * @typedef {{
 *   readonly format: number,
 *   readonly version: number,
 *   setAttachment(attachment: number): void,
 *   notify(): number,
 *   tryLock(lock: number, spin: boolean): number,
 *   unlock(lock: number): number,
 *   openSection(): void,
 *   endSection(): number,
 *   makeConsistent(lock: number, inSection: boolean): number,
 *   snapshot(mapping: Mapping, offset: number, target: Uint8Array): number,
 *   close(): void,
 * }} SyncArea
 * @typedef {{
 *   onLong: () => void,
 *   onEnd: (result: number, version: number) => void,
 *   target?: Uint8Array,
 *   lock(area: SyncArea, lock: number): number,
 *   version(area: SyncArea, after: number): number,
 *   snapshot(area: SyncArea, mapping: Mapping, offset: number, target: Uint8Array): number,
 *   cancel(): void,
 * }} Wait
 * @typedef {{
 *   Channel: new () => Channel,
 *   Mapping: new (descriptor: Descriptor, size: number, protection: number, advice: boolean) => Mapping,
 *   SyncArea: new (descriptor: Descriptor, attachment: number, writable: boolean) => SyncArea,
 *   Wait: new () => Wait,
 *   ownerDead: number,
 *   secure: boolean,
 * }} Native
 */

/** @returns {Native} */
function load() {
  const require = createRequire(import.meta.url);
  try {
    return require("../build/Release/shmd.node");
  } catch (cause) {
    throw new Error("the native part of shmd is not built for this Node.js: run `npm rebuild shmd`", { cause });
  }
}

export const native = load();
