package shmd_test

// How waits end: by contexts, by Close and Seal, and with the daemon.

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"

	"shmd"
	"shmd/internal/daemontest"
)

// waitAll has all of them wait, and returns when they sleep. What it gives waits for their ends, with all of these errors.
func waitAll(ctx context.Context, t *testing.T, segment *shmd.Segment, wanted ...error) (ended func()) {
	t.Helper()
	all := waitsOf(segment)
	results := make(chan struct{})
	for name, wait := range all {
		name, wait := name, wait
		go func() {
			err := wait(ctx)
			for _, want := range wanted {
				if !errors.Is(err, want) {
					t.Errorf("%s gives %v", name, err)
				}
			}
			results <- struct{}{}
		}()
	}
	asleep(t, segment)
	return func() {
		for range all {
			<-results
		}
	}
}

// waitsOf are all ways to wait for what another holder has.
func waitsOf(segment *shmd.Segment) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Lock":       func(ctx context.Context) error { _, err := segment.Lock(ctx); return err },
		"BeginWrite": func(ctx context.Context) error { _, err := segment.BeginWrite(ctx); return err },
		"ReadLock":   func(ctx context.Context) error { _, err := segment.ReadLock(ctx); return err },
		"WriteLock":  func(ctx context.Context) error { _, err := segment.WriteLock(ctx); return err },
		"Snapshot":   func(ctx context.Context) error { return segment.Snapshot(ctx, make([]byte, 1), 0) },
		"Wait":       func(ctx context.Context) error { _, err := segment.Wait(ctx, 0); return err },
		"Notifications": func(ctx context.Context) error {
			n := segment.Notifications(ctx, 0)
			for range n.C {
			}
			return n.Err()
		},
	}
}

// occupied has a segment, and another holder who has all that there is to hold, until it is told to let go.
func occupied(t *testing.T, client *shmd.Client) (segment *shmd.Segment, letGo func()) {
	t.Helper()
	segment, err := client.Create(ctx, "", 100, &shmd.CreateOptions{Lifetime: shmd.LifetimeAttached})
	must(t, err)
	t.Cleanup(func() { segment.Close() })
	holder := twice(t, client, segment)
	section, err := holder.BeginWrite(ctx)
	must(t, err)
	lock, err := holder.WriteLock(ctx)
	must(t, err)
	return segment, func() {
		t.Helper()
		must(t, section.End())
		must(t, lock.Unlock())
	}
}

// asleep waits until the locks have waiters, which are all that wait of one process.
func asleep(t *testing.T, segment *shmd.Segment) {
	t.Helper()
	eventually(t, "all are asleep", func() bool {
		words := segment.Words()
		return words != (shmd.Words{}) && waits(words.Mutex()) && waits(words.Rwlock()) && words.Version()%2 == 1
	})
}

func testContextsEndWaits(t *testing.T) {
	ctx := soon(t)
	segment, letGo := occupied(t, dial(t))
	for i := 0; i < 3; i++ {
		ending, cancel := context.WithCancel(ctx)
		ended := waitAll(ending, t, segment, context.Canceled)
		cancel()
		ended()
	}
	letGo()
	lock, err := segment.Lock(ctx)
	must(t, err)
	must(t, lock.Unlock())
	lock, err = segment.WriteLock(ctx)
	must(t, err)
	must(t, lock.Unlock())
}

func TestContextsEndWaits(t *testing.T) { testContextsEndWaits(t) }

func TestContextsEndWaitsOnOldKernels(t *testing.T) {
	shmd.WithoutWaitv(func() { testContextsEndWaits(t) })
}

func TestAnEndedContextTakesNoLock(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "", 100, nil)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for name, wait := range waitsOf(segment) {
		if err := wait(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

func TestCloseEndsWaits(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	segment, letGo := occupied(t, client)
	ended := waitAll(ctx, t, segment, shmd.ErrClosed, fs.ErrClosed)
	words := segment.Words()
	must(t, segment.Close())
	ended()
	if words.Mapped() {
		t.Error("the area is still mapped")
	}
	for name, wait := range waitsOf(segment) {
		if err := wait(ctx); !errors.Is(err, shmd.ErrClosed) {
			t.Errorf("%s gives %v", name, err)
		}
	}
	letGo()
}

func TestCloseWithALockIsTheDeathOfItsHolder(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	other := twice(t, client, segment)
	section, err := segment.BeginWrite(ctx)
	must(t, err)
	read, err := segment.ReadLock(ctx)
	must(t, err)
	words := segment.Words()
	must(t, segment.Close())
	lock, err := other.Lock(ctx)
	must(t, err)
	if !lock.OwnerDied() {
		t.Error("nobody tells of it")
	}
	eventually(t, "the reader's slot is free", func() bool { return len(other.Words().Slots()) == 0 })
	if err := section.End(); !errors.Is(err, shmd.ErrClosed) {
		t.Errorf("End gives %v", err)
	}
	if err := read.Unlock(); !errors.Is(err, shmd.ErrNotHeld) {
		t.Errorf("Unlock gives %v", err)
	}
	if words.Mapped() {
		t.Error("the area is still mapped")
	}
	if other.Words().Sequence() != 1 {
		t.Error("what has ended changes the sequence")
	}
	must(t, lock.MakeConsistent())
	must(t, lock.Unlock())
	if other.Words().Sequence() != 2 {
		t.Error("the section is still open")
	}
	lock, err = other.WriteLock(ctx)
	must(t, err)
	must(t, lock.Unlock())
}

func TestCloseUnderManyGoroutines(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	first := create(t, client, "", 100, nil)
	for i := 0; i < 50; i++ {
		segment := twice(t, client, first)
		begun := make(chan struct{}, 4)
		var group sync.WaitGroup
		for j := 0; j < 4; j++ {
			group.Add(1)
			go func() {
				defer group.Done()
				for k := 0; ; k++ {
					if k == 5 {
						begun <- struct{}{}
					}
					if err := lockAll(ctx, segment); err != nil {
						if !errors.Is(err, shmd.ErrClosed) && !errors.Is(err, shmd.ErrNotHeld) {
							t.Error(err)
						}
						return
					}
				}
			}()
		}
		<-begun
		must(t, segment.Close())
		group.Wait()
	}
	lock, err := first.Lock(ctx)
	must(t, err)
	must(t, lock.MakeConsistent())
	must(t, lock.Unlock())
	must(t, first.Snapshot(ctx, make([]byte, 100), 0))
	if taken := first.Words().Slots(); len(taken) != 0 {
		lock, err := first.WriteLock(ctx) // the daemon is about to give them back
		must(t, err)
		must(t, lock.Unlock())
	}
}

func TestSealEndsLocks(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	other := twice(t, client, segment)
	lock, err := other.Lock(ctx)
	must(t, err)
	if err := segment.Seal(ctx); !errors.Is(err, shmd.ErrSegmentBusy) {
		t.Fatalf("Seal gives %v", err)
	}
	waiting := locking(segment.Lock, ctx) // which it still may, with another attachment
	eventually(t, "somebody waits", func() bool { return waits(other.Words().Mutex()) })
	must(t, lock.Unlock())
	must(t, (<-waiting).must(t).Unlock())
	lock, err = other.Lock(ctx)
	must(t, err)
	waiting = locking(segment.Lock, ctx)
	eventually(t, "somebody waits", func() bool { return waits(other.Words().Mutex()) })
	must(t, other.Close())
	first := (<-waiting).must(t)
	if !first.OwnerDied() {
		t.Error("nobody tells of it")
	}
	waiting = locking(segment.Lock, ctx)
	eventually(t, "somebody waits", func() bool { return waits(segment.Words().Mutex()) })
	must(t, segment.Seal(ctx))
	if got := <-waiting; !errors.Is(got.err, shmd.ErrReadOnly) {
		t.Errorf("Lock gives %v", got.err)
	}
	if err := first.Unlock(); !errors.Is(err, shmd.ErrNotHeld) {
		t.Errorf("Unlock gives %v", err)
	}
	must(t, segment.Snapshot(ctx, make([]byte, 100), 0))
}

func TestLocksOutliveARestart(t *testing.T) {
	ctx := soon(t)
	manager, client := keeping(t)
	segment, err := client.Create(ctx, "a", 100, nil)
	must(t, err)
	holder := newActor(t, manager.Socket(), "a", shmd.Write)
	holder.does("lock", "locked")
	waiting := locking(segment.Lock, ctx)
	eventually(t, "somebody waits", func() bool { return waits(wordsOf(segment).Mutex()) })
	must(t, manager.Restart())
	holder.does("unlock", "done")
	lock := (<-waiting).must(t)
	if lock.OwnerDied() {
		t.Error("nobody has died")
	}
	holder.tell("lock")
	eventually(t, "the other waits", func() bool { return waits(segment.Words().Mutex()) })
	must(t, manager.Restart())
	must(t, lock.Unlock())
	holder.hears("locked")
	waiting = locking(segment.Lock, ctx)
	eventually(t, "somebody waits", func() bool { return waits(segment.Words().Mutex()) })
	manager.Kill()
	holder.kill() // and nobody is there to tell
	must(t, manager.Start())
	lock = (<-waiting).must(t)
	if !lock.OwnerDied() {
		t.Error("nobody tells that the owner died")
	}
	must(t, lock.MakeConsistent())
	must(t, lock.Unlock())
	must(t, segment.Close())
}

// wordsOf waits until the segment has used its area.
func wordsOf(segment *shmd.Segment) shmd.Words {
	for segment.Words() == (shmd.Words{}) {
	}
	return segment.Words()
}

func TestAWaiterLearnsThatEverythingHasEndedWithTheDaemon(t *testing.T) {
	ctx := soon(t)
	manager := newManager(t, daemontest.Options{})
	client, err := shmd.Dial(ctx, manager.Socket())
	must(t, err)
	defer client.Close()
	segment, letGo := occupied(t, client)
	ended := waitAll(ctx, t, segment, shmd.ErrDisconnected)
	must(t, manager.Restart())
	ended()
	letGo()
	must(t, segment.Close())
}

func TestOthersGoOnWhoeverDies(t *testing.T) {
	ctx := soon(t)
	manager, client := keeping(t)
	segment, err := client.Create(ctx, "a", 100, nil)
	must(t, err)
	for round := 0; round < 10; round++ {
		dying := []*actor{newActor(t, manager.Socket(), "a", shmd.Write), newActor(t, manager.Socket(), "a", shmd.Write)}
		for _, each := range dying {
			each.tell("lock-all")
		}
		for _, each := range dying {
			for i := 0; i < 100; i++ {
				must(t, lockAll(ctx, segment))
			}
			each.kill()
			if round%4 == 3 {
				must(t, manager.Restart())
			}
		}
		for i := 0; i < 100; i++ {
			must(t, lockAll(ctx, segment))
		}
	}
	lock, err := segment.Lock(ctx)
	must(t, err)
	must(t, lock.MakeConsistent())
	must(t, lock.Unlock())
	must(t, segment.Snapshot(ctx, make([]byte, 100), 0))
	if taken := segment.Words().Slots(); len(taken) != 0 {
		t.Errorf("slots %v are left", taken)
	}
	must(t, segment.Close())
}
