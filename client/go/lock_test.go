package shmd_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"sync"
	"syscall"
	"testing"
	"time"

	"shmd"
)

// waits tells whether somebody is asleep on a lock word, or about to be.
func waits(word uint64) bool { return word&shmd.Waiters != 0 }

// locking runs a method that locks in the background.
func locking[L any](lock func(context.Context) (L, error), ctx context.Context) <-chan result[L] {
	results := make(chan result[L], 1)
	go func() {
		held, err := lock(ctx)
		results <- result[L]{held, err}
	}()
	return results
}

type result[L any] struct {
	lock L
	err  error
}

func (r result[L]) must(t *testing.T) L {
	t.Helper()
	must(t, r.err)
	return r.lock
}

// twice opens the segment once more: that is another holder.
func twice(t *testing.T, client *shmd.Client, segment *shmd.Segment) *shmd.Segment {
	t.Helper()
	other, err := client.Open(ctx, shmd.ID(segment.ID()), shmd.Write, nil)
	must(t, err)
	t.Cleanup(func() { other.Close() })
	return other
}

func TestTheMutexExcludesGoroutinesAndProcesses(t *testing.T) {
	ctx := soon(t)
	const times, goroutines = 3000, 4
	segment := create(t, dial(t), "go/lock/count", 100, nil)
	actors := []*actor{here(t, "go/lock/count", shmd.Write), here(t, "go/lock/count", shmd.Write)}
	for _, each := range actors {
		each.tell("count 3000")
	}
	var group sync.WaitGroup
	for i := 0; i < goroutines; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := countLocked(ctx, segment, times); err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
	for _, each := range actors {
		each.hears("done")
	}
	if counted := binary.LittleEndian.Uint64(segment.Bytes()); counted != (goroutines+2)*times {
		t.Fatalf("%d and not %d", counted, (goroutines+2)*times)
	}
	if word := segment.Words().Mutex(); word != 0 {
		t.Fatalf("the word is left as %#x", word)
	}
}

func TestTheLockOfAKilledProcessPassesOn(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "go/lock/killed", 100, nil)
	holder := here(t, "go/lock/killed", shmd.Write)
	holder.does("lock", "locked")
	if _, err := segment.TryLock(ctx); !errors.Is(err, shmd.ErrLocked) {
		t.Fatalf("TryLock gives %v", err)
	}
	next := locking(segment.Lock, ctx)
	eventually(t, "somebody waits", func() bool { return waits(segment.Words().Mutex()) })
	holder.kill()
	lock := (<-next).must(t)
	if !lock.OwnerDied() {
		t.Fatal("nobody tells that the owner died")
	}
	must(t, lock.Unlock())
	lock, err := segment.TryLock(ctx) // nobody has called it consistent
	must(t, err)
	if !lock.OwnerDied() {
		t.Fatal("the next holder is not told")
	}
	must(t, lock.MakeConsistent())
	must(t, lock.Unlock())
	other := here(t, "go/lock/killed", shmd.Write)
	other.does("lock", "locked")
	other.does("unlock", "done")
}

func TestALockThatNobodyHoldsAnyMoreIsRecovered(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "", 100, nil)
	lock, err := segment.Lock(ctx)
	must(t, err)
	must(t, lock.Unlock())
	const nobody = 0xfffffff0
	segment.Words().SetMutex(nobody) // as if the daemon had missed an end
	segment.Words().SetSlot(700, nobody)
	lock, err = segment.Lock(ctx)
	must(t, err)
	if !lock.OwnerDied() {
		t.Error("nobody tells of it")
	}
	must(t, lock.Unlock())
	segment.Words().SetSlot(700, nobody)
	lock, err = segment.WriteLock(ctx)
	must(t, err)
	if lock.OwnerDied() {
		t.Error("a reader's death tells of a change")
	}
	must(t, lock.Unlock())
}

func TestAnUnlockOfWhatIsNotHeldIsAnError(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "", 100, nil)
	lock, err := segment.Lock(ctx)
	must(t, err)
	must(t, lock.Unlock())
	next, err := segment.Lock(ctx) // which the first one must not give back
	must(t, err)
	for _, err := range []error{lock.Unlock(), lock.MakeConsistent()} {
		if !errors.Is(err, shmd.ErrNotHeld) {
			t.Errorf("it gives %v", err)
		}
	}
	if _, err := segment.TryLock(ctx); !errors.Is(err, shmd.ErrLocked) {
		t.Errorf("it has been unlocked: %v", err)
	}
	segment.Words().SetMutex(7)
	for _, err := range []error{next.MakeConsistent(), next.Unlock()} {
		if !errors.Is(err, shmd.ErrNotHeld) {
			t.Errorf("it gives %v", err)
		}
	}
	if word := segment.Words().Mutex(); word != 7 {
		t.Errorf("another one's lock is %#x then", word)
	}
	read, err := segment.ReadLock(ctx)
	must(t, err)
	must(t, read.Unlock())
	if err := read.Unlock(); !errors.Is(err, shmd.ErrNotHeld) {
		t.Errorf("it gives %v", err)
	}
}

func TestSegmentsForReadingTakeNoLocks(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	create(t, client, "go/lock/read", 100, nil)
	segment := reader(t, client, "go/lock/read")
	calls := map[string]func() error{
		"Lock":         func() error { _, err := segment.Lock(ctx); return err },
		"TryLock":      func() error { _, err := segment.TryLock(ctx); return err },
		"WriteLock":    func() error { _, err := segment.WriteLock(ctx); return err },
		"TryWriteLock": func() error { _, err := segment.TryWriteLock(ctx); return err },
		"ReadLock":     func() error { _, err := segment.ReadLock(ctx); return err },
		"TryReadLock":  func() error { _, err := segment.TryReadLock(ctx); return err },
		"BeginWrite":   func() error { _, err := segment.BeginWrite(ctx); return err },
		"Notify":       func() error { _, err := segment.Notify(ctx); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, shmd.ErrReadOnly) || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s gives %v", name, err)
		}
	}
	must(t, segment.Snapshot(ctx, make([]byte, 100), 0))
	if version, err := segment.Version(ctx); err != nil || version != 0 {
		t.Error(version, err)
	}
}

func TestReadersShareAndWritersDoNot(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	segment := create(t, client, "go/lock/rw", 100, nil)
	first, err := segment.ReadLock(ctx)
	must(t, err)
	second, err := segment.ReadLock(ctx)
	must(t, err)
	third := here(t, "go/lock/rw", shmd.Write)
	third.does("read-lock", "locked")
	if _, err := segment.TryWriteLock(ctx); !errors.Is(err, shmd.ErrLocked) {
		t.Fatalf("TryWriteLock gives %v", err)
	}
	writer := locking(twice(t, client, segment).WriteLock, ctx)
	eventually(t, "the writer waits", func() bool { return segment.Words().Rwlock() != 0 })
	if _, err := segment.TryReadLock(ctx); !errors.Is(err, shmd.ErrLocked) {
		t.Fatalf("a reader comes before a writer that waits: %v", err)
	}
	readers := locking(segment.ReadLock, ctx)
	eventually(t, "a reader waits", func() bool { return waits(segment.Words().Rwlock()) })
	must(t, first.Unlock())
	must(t, second.Unlock())
	third.does("unlock", "done")
	lock := (<-writer).must(t)
	select {
	case got := <-readers:
		t.Fatalf("a reader comes in beside a writer: %v", got.err)
	default:
	}
	must(t, lock.Unlock())
	must(t, (<-readers).must(t).Unlock())
	if taken := segment.Words().Slots(); len(taken) != 0 || segment.Words().Rwlock() != 0 {
		t.Fatalf("slots %v and the word %#x are left", taken, segment.Words().Rwlock())
	}
}

func TestReadersAndWritersOfManyGoroutines(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	segments := []*shmd.Segment{create(t, client, "", 16, nil)}
	segments = append(segments, twice(t, client, segments[0]))
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		segment := segments[i%2]
		numbers, err := shmd.SliceOf[uint64](segment)
		must(t, err)
		writes := i < 4
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 1000; j++ {
				if writes {
					lock, err := segment.WriteLock(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					numbers[0]++
					numbers[1]++
					lock.Unlock()
					continue
				}
				lock, err := segment.ReadLock(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if numbers[0] != numbers[1] {
					t.Error("a reader sees half a change")
				}
				lock.Unlock()
			}
		}()
	}
	group.Wait()
	numbers, err := shmd.SliceOf[uint64](segments[0])
	must(t, err)
	if numbers[0] != 4000 || numbers[1] != 4000 {
		t.Fatal(numbers)
	}
}

func TestADeadReaderHoldsUpNobody(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "go/lock/deadreader", 100, nil)
	dying := here(t, "go/lock/deadreader", shmd.Write)
	dying.does("read-lock", "locked")
	writer := locking(segment.WriteLock, ctx)
	eventually(t, "the writer waits", func() bool { return segment.Words() != (shmd.Words{}) && segment.Words().Rwlock() != 0 })
	dying.kill()
	lock := (<-writer).must(t)
	if lock.OwnerDied() {
		t.Error("a reader's death tells of a change")
	}
	must(t, lock.Unlock())
}

func TestADeadWriterIsToldToReadersAndWriters(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "go/lock/deadwriter", 100, nil)
	dying := here(t, "go/lock/deadwriter", shmd.Write)
	dying.does("write-lock", "locked")
	other := here(t, "go/lock/deadwriter", shmd.Write)
	other.tell("read-lock")
	reading := locking(segment.ReadLock, ctx)
	eventually(t, "somebody waits", func() bool { return segment.Words() != (shmd.Words{}) && waits(segment.Words().Rwlock()) })
	dying.kill()
	other.hears("owner died")
	read := (<-reading).must(t)
	if !read.OwnerDied() {
		t.Error("the reader is not told")
	}
	must(t, read.Unlock())
	other.does("unlock", "done")
	lock, err := segment.WriteLock(ctx)
	must(t, err)
	if !lock.OwnerDied() {
		t.Error("the writer is not told")
	}
	must(t, lock.MakeConsistent())
	must(t, lock.Unlock())
	other.does("read-lock", "locked")
}

func TestWhenAllSlotsAreTakenAReaderWaits(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "", 100, nil)
	held := make([]*shmd.ReadLock, 896)
	for i := range held {
		lock, err := segment.ReadLock(ctx)
		must(t, err)
		held[i] = lock
	}
	if _, err := segment.TryReadLock(ctx); !errors.Is(err, shmd.ErrLocked) {
		t.Fatalf("TryReadLock gives %v", err)
	}
	ended, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := segment.ReadLock(ended); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("ReadLock gives %v", err)
	}
	next := locking(segment.ReadLock, ctx)
	must(t, held[500].Unlock())
	held[500] = (<-next).must(t)
	for _, each := range held {
		must(t, each.Unlock())
	}
	lock, err := segment.WriteLock(ctx)
	must(t, err)
	must(t, lock.Unlock())
}

func TestAnUncontendedLockAllocatesNothing(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	for name, pair := range map[string]func(){
		"Lock": func() {
			lock, err := segment.Lock(ctx)
			must(t, err)
			defer lock.Unlock()
		},
		"WriteLock": func() {
			lock, err := segment.WriteLock(ctx)
			must(t, err)
			defer lock.Unlock()
		},
		"ReadLock": func() {
			lock, err := segment.ReadLock(ctx)
			must(t, err)
			defer lock.Unlock()
		},
		"BeginWrite": func() {
			section, err := segment.BeginWrite(ctx)
			must(t, err)
			defer section.End()
		},
		"Notify": func() { segment.Notify(ctx) },
	} {
		pair()
		if count := testing.AllocsPerRun(1000, pair); count != 0 && !segment.RaceDetector() {
			t.Errorf("%s: %v allocations", name, count)
		}
	}
}

func TestAnAreaOfAnotherFormatIsLeftAlone(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	_, err := segment.Version(ctx)
	must(t, err)
	if format := segment.Words().Format(); format != 1 {
		t.Fatalf("format %d", format)
	}
	segment.Words().SetFormat(2)
	if _, err := twice(t, client, segment).Lock(ctx); !errors.Is(err, syscall.ENOTSUP) {
		t.Fatalf("Lock gives %v", err)
	}
}
