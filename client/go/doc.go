// Package shmd opens shared memory that the shmd daemon of this machine hands out by key.
//
// A [Client] is a connection to the daemon, a [Segment] one piece of memory mapped into this process. After opening, the
// memory is plain memory: no call, no copy, no daemon. [Segment.Bytes] is it without a copy; [Segment.ReadAt] and
// [Segment.WriteAt] copy out of and into it; [Segment.View] lends it to a function.
//
//	client, err := shmd.Dial(ctx, "")
//	table, err := client.Open(ctx, shmd.Key("table"), shmd.Read, nil)
//	defer table.Close()
//	use(table.Bytes())
//
// # Errors
//
// What the daemon refuses is an [*Error] with its name and its parameters; errors.Is(err, shmd.ErrNoSuchSegment) tells which it
// is. What arises in this process is ErrClosed, ErrReadOnly and so on. An answer that makes no sense is a [*ProtocolError].
//
// # Memory
//
// No access below [Segment.Size] ends in SIGBUS, whatever other processes do, but for pages that were not reserved
// (ReserveLazy) and that the machine cannot provide. A write to memory that was opened for reading, and a use of
// [Segment.Bytes] after Close, are a panic and not a crash in the goroutine that has called Bytes, and an error from View,
// ReadAt and WriteAt.
//
// # Locks
//
// Every segment has locks for all processes that have it open, beside its bytes: [Segment.Lock], [Segment.WriteLock] and
// [Segment.ReadLock], [Segment.BeginWrite] and [Segment.Snapshot], [Segment.Notify] and [Segment.Wait]. A holder that dies gives
// its lock to the next one, who is told so.
//
// # Processes and users
//
// Grants belong to the process. Go programs do not fork without exec, and nothing of a client outlives exec: descriptors are
// closed then. After a change of the effective user or group the next call connects anew, as that user; what was granted
// before stays granted.
//
// The package runs on Linux, from Go 1.19 on, and needs neither cgo nor any other module. The iterators of [Client.List] and
// [Watch.Events] are plain functions that Go 1.23 can range over.
package shmd
