// The memory of one segment, mapped into this process, and the one ArrayBuffer over it.
import { ClosedError, MemoryError, ProtocolError, codeOf } from "./errors.js";
import { native } from "./native.js";

/** @typedef {import("./native.js").Descriptor} Descriptor */
/** @typedef {import("../index.js").SegmentInfo} SegmentInfo */
/** @typedef {"read" | "write"} Access */
/** @typedef {"private" | "crash"} StrayWrites */

// The numbers that native/mapping.cpp has for them.
const protections = { read: 0, write: 1, copy: 2 };

/** @param {SegmentInfo} info */
const ofHugePagesAlone = (info) => info.hugePages === "huge2M" || info.hugePages === "huge1G";

/**
 * No ArrayBuffer is read-only, and a write to memory that is mapped for reading ends the process. So it is mapped such that a
 * write makes a private copy of the page. That cannot be done with huge pages of which the kernel has none to spare.
 * @param {SegmentInfo} info
 * @param {Access} access
 * @param {StrayWrites} strayWrites
 */
function protectionFor(info, access, strayWrites) {
  if (access === "write") return protections.write;
  return strayWrites === "crash" || ofHugePagesAlone(info) ? protections.read : protections.copy;
}

/**
 * The memory must be as large as we were told, and stay so: touching what is not there is a SIGBUS. Huge pages round up.
 * @param {Descriptor} descriptor
 * @param {SegmentInfo} info
 */
function sizeOf(descriptor, info) {
  const memory = descriptor.inspect();
  if (memory.errno !== 0) throw new ProtocolError(`its memory cannot be looked at: ${codeOf(memory.errno)}`);
  if (!memory.regular) throw new ProtocolError("its descriptor is not memory");
  const fits = ofHugePagesAlone(info) ? memory.size >= info.capacityBytes : memory.size === info.capacityBytes;
  if (!fits) throw new ProtocolError(`it tells of ${info.capacityBytes} bytes and passes memory of ${memory.size}`);
  if (!memory.fixed) throw new ProtocolError("its memory may shrink");
  return memory.size;
}

/**
 * What came with an answer.
 * @param {{descriptor: Descriptor | undefined, lost: boolean}} answer
 */
export function descriptorOf({ descriptor, lost }) {
  if (descriptor) return descriptor;
  if (!lost) throw new ProtocolError("the descriptor that it names did not come with it");
  const why = "this process may open no more files: close some, or raise its limit";
  throw new MemoryError(why, { code: "EMFILE" });
}

/**
 * Maps, in one of two ways. A limit on private memory (RLIMIT_DATA, vm.overcommit_memory=2) counts what could be copied though
 * nobody writes: what it does not allow is mapped for reading.
 * @template T
 * @param {number} protection
 * @param {(protection: number) => T} map
 * @returns {T}
 */
function mapping(protection, map) {
  try {
    return map(protection);
  } catch (error) {
    const { errno } = /** @type {{errno?: number}} */ (error);
    if (errno === undefined) throw error;
    const code = codeOf(errno);
    if (code === "ENOMEM" && protection === protections.copy) return mapping(protections.read, map);
    throw new MemoryError(`its memory cannot be mapped: ${code}`, { code });
  }
}

/**
 * @param {import("./native.js").Mapping} mapped
 * @param {number} length
 */
function bufferOf(mapped, length) {
  try {
    const buffer = mapped.buffer(length);
    if (buffer) return buffer;
  } catch (cause) {
    const why = `this runtime has no ArrayBuffer of ${length} bytes: use read() and write()`;
    throw new MemoryError(why, { code: "ERR_BUFFER_TOO_LARGE", cause });
  }
  const why = "this runtime has no ArrayBuffer over memory that is not its own: use read() and write()";
  throw new MemoryError(why, { code: "ERR_SHMD_NO_EXTERNAL_BUFFERS" });
}

/** What moves memory away from under its views, which Memory alone may. */
const moving = ["transfer", "transferToFixedLength", "transferToImmutable"];

/** @returns {never} */
function unmovable() {
  throw new TypeError("the memory of a segment cannot be transferred: open the segment where you need it");
}

export class Memory {
  /** @type {import("./native.js").Mapping | undefined} undefined: unmapped */
  #mapping;
  /** @type {ArrayBuffer | undefined} */
  #buffer;
  #size;
  #strayWrites;

  /**
   * Takes all of the segment's capacity. The descriptor stays the caller's.
   * @param {Descriptor} descriptor
   * @param {SegmentInfo} info
   * @param {Access} access
   * @param {StrayWrites} strayWrites
   */
  constructor(descriptor, info, access, strayWrites) {
    const size = sizeOf(descriptor, info);
    this.#size = size;
    this.#strayWrites = strayWrites;
    const advice = info.hugePages === "transparent";
    this.#mapping = mapping(
      protectionFor(info, access, strayWrites),
      (protection) => new native.Mapping(descriptor, size, protection, advice),
    );
  }

  /**
   * Puts the same memory of another descriptor in its place: addresses, and so the buffer, stay. On failure nothing changes.
   * @param {Descriptor} descriptor
   * @param {SegmentInfo} info
   * @param {Access} access
   */
  replace(descriptor, info, access) {
    const size = sizeOf(descriptor, info);
    if (size !== this.#size) throw new ProtocolError("its memory has another size than before");
    const advice = info.hugePages === "transparent";
    mapping(protectionFor(info, access, this.#strayWrites), (protection) =>
      this.#mapped.replace(descriptor, size, protection, advice),
    );
  }

  get closed() {
    return this.#mapping === undefined;
  }

  /**
   * The ArrayBuffer over the first bytes: the same one as long as it has this length.
   * @param {number} length
   */
  buffer(length) {
    if (this.#buffer?.byteLength === length) return this.#buffer;
    this.detach();
    const made = bufferOf(this.#mapped, length);
    for (const name of moving) {
      if (name in made) Object.defineProperty(made, name, { value: unmovable });
    }
    return (this.#buffer = made);
  }

  /** Takes the ArrayBuffer away from whoever has it. */
  detach() {
    if (this.#buffer) this.#mapping?.detach(this.#buffer);
    this.#buffer = undefined;
  }

  /**
   * Copies out of the memory.
   * @param {number} offset
   * @param {Uint8Array} target
   */
  read(offset, target) {
    this.#mapped.read(offset, target);
  }

  /**
   * Copies into the memory.
   * @param {number} offset
   * @param {Uint8Array} source
   */
  write(offset, source) {
    this.#mapped.write(offset, source);
  }

  /**
   * One attempt to copy out of the memory between two write sections: as the native part says.
   * @param {import("./native.js").SyncArea} area
   * @param {number} offset
   * @param {Uint8Array} target
   */
  snapshot(area, offset, target) {
    return area.snapshot(this.#mapped, offset, target);
  }

  /**
   * The same in a thread, until it succeeds.
   * @param {import("./native.js").Wait} wait
   * @param {import("./native.js").SyncArea} area
   * @param {number} offset
   * @param {Uint8Array} target
   */
  beginSnapshot(wait, area, offset, target) {
    return wait.snapshot(area, this.#mapped, offset, target);
  }

  /** Detaches, and then unmaps. May be repeated. */
  close() {
    this.detach();
    this.#mapping?.close();
    this.#mapping = undefined;
  }

  get #mapped() {
    if (!this.#mapping) throw new ClosedError("the segment is closed");
    return this.#mapping;
  }
}
