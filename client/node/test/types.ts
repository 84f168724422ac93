// What TypeScript says to programs that use the package. Checked by tsc, never run.
import {
  type Access,
  type AclEntry,
  type Client,
  type Lock,
  DisconnectedError,
  NoSuchSegmentError,
  QuotaExceededError,
  ReadOnlyDataView,
  RemoteError,
  type Segment,
  SegmentBusyError,
  type SegmentInfo,
  type WriteSection,
  ShmdError,
  type WatchEvent,
  connect,
  systemVKey,
} from "../index.js";

const client: Client = await connect({ socket: "/run/shmd/io.shmd.Segments", signal: AbortSignal.timeout(1000) });

const access: Access = "write";
const acl: AclEntry[] = [{ uid: 1, access: "read" }, { gid: 2, access }];
const segment: Segment = await client.create("key", 4096, {
  mode: 0o640,
  createMode: "any",
  access,
  reserve: "populate",
  staged: false,
  lifetime: "lease",
  leaseUsec: 1_000_000,
  evictable: true,
  sealable: true,
  acl,
  labels: { a: "b" },
  capacityBytes: 8192,
  hugePages: "transparent",
  numaNodes: [0],
  placementFallback: true,
});
await client.create(null, 1);
await client.create(0xff3, 1);
// @ts-expect-error no such option
await client.create("key", 1, { stagd: true });
// @ts-expect-error no such access
await client.open("key", { access: "append" });
// @ts-expect-error a user and a group at once
const both: AclEntry = { uid: 1, gid: 1, access: "read" };
void both;
await client.open({ id: 7 });
// @ts-expect-error neither key nor id
await client.open({});
await client.open({ key: "key" }, { access: "read", sealed: true, waitUsec: Infinity, strayWrites: "crash" });

const many: (Segment | ShmdError)[] = await client.openMany(["a", 1, { id: 2 }]);
for (const each of many) {
  if (each instanceof ShmdError) console.log(each.code);
  else await each.close();
}
const made: Segment[] = await client.createMany([{ key: "a", sizeBytes: 1, mode: 0o600 }, { sizeBytes: 2 }]);
void made;

const buffer: ArrayBuffer = segment.buffer;
const bytes = new Uint8Array(buffer);
// @ts-expect-error it is what the segment says it is
segment.buffer = buffer;
// @ts-expect-error only create and open make one
new segment.constructor();
const copy: Buffer = segment.read(0, 10);
const count: number = segment.write(copy, 3) + segment.write("text") + segment.write(bytes);
void count;
const view: DataView = segment.view;
if (view instanceof ReadOnlyDataView) console.log("for reading");

const info: SegmentInfo = await segment.publish({ key: "other", replace: true });
const key: string | null = info.key;
const label: string | undefined = info.labels["a"];
void [key, label];
// @ts-expect-error what the daemon said is not to be changed
info.mode = 0;
const sizes: number[] = [(await segment.resize(5)).sizeBytes, (await segment.remap()).capacityBytes, (await segment.seal()).id];
void sizes;

for await (const each of client.list("prefix")) console.log(each.sizeBytes, each.acl?.[0]?.access);
for await (const event of client.watch("prefix", { signal: AbortSignal.timeout(1) })) {
  if (event.event === "ready" || event.event === "lost") continue;
  const told: SegmentInfo = event.segment;
  console.log(event.event satisfies WatchEvent["event"], told.key);
}
await client.setAttributes("key", { mode: 0o600, removeLabels: ["a"], acl: [] });
// @ts-expect-error not an attribute
await client.setAttributes("key", { sizeBytes: 1 });
const reply: Record<string, unknown> = await client.call("org.varlink.service.GetInfo");
void reply;
for await (const each of client.callMany("io.shmd.Segments.List", {})) console.log(each["segment"]);

try {
  await client.delete(systemVKey(-1));
} catch (error) {
  if (error instanceof NoSuchSegmentError) console.log(error.parameters.key?.length, error.varlinkName);
  else if (error instanceof QuotaExceededError) console.log(error.parameters.limit + 1);
  else if (error instanceof SegmentBusyError) console.log(error.parameters.holders[0]?.pid);
  else if (error instanceof RemoteError) console.log(error.parameters["later"]);
  else if (error instanceof DisconnectedError) console.log(error.maybeDone satisfies boolean);
}
{
  using lock: Lock = await segment.lock({ timeout: 100, signal: AbortSignal.timeout(1) });
  await using section: WriteSection = await segment.beginWrite();
  if (lock.ownerDied && section.ownerDied) section.makeConsistent();
  const maybe: Lock | null = segment.tryReadLock();
  // @ts-expect-error it may be held
  maybe.unlock();
  maybe?.unlock();
  const result: number = await segment.withLock((held) => Promise.resolve(held.held ? 1 : 2));
  const words: string = await segment.withWriteSection((within) => (within.end(), "done"), { timeout: 1 });
  const taken: Buffer = await segment.snapshot({ offset: 1, length: 2, timeout: 3 });
  const versions: number = segment.version + (await segment.notify()) + (await segment.waitForVersion(1));
  for await (const version of segment.notifications({ after: 1 })) if (version > 2) break;
  void [result, words, taken, versions];
  // @ts-expect-error nobody else makes one
  new lock.constructor();
  // @ts-expect-error milliseconds
  await segment.lock({ timeout: "1s" });
}
{
  await using scoped = await client.open("key");
  using sync = await client.open("key");
  console.log(scoped.size, sync.size);
}
await client.close();
