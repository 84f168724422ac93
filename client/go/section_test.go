package shmd_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"shmd"
)

// whole tells whether all bytes are the same, as writers leave them.
func whole(memory []byte) bool { return bytes.Count(memory, memory[:1]) == len(memory) }

func TestSnapshotsAreNeverTorn(t *testing.T) {
	ctx := soon(t)
	const size = 10000
	client := dial(t)
	create(t, client, "go/section/torn", size, nil)
	writers := []*actor{here(t, "go/section/torn", shmd.Write), here(t, "go/section/torn", shmd.Write)}
	segments := []*shmd.Segment{reader(t, client, "go/section/torn"), nil}
	segments[1] = twice(t, client, segments[0])
	copied := make([]byte, size)
	seen := map[byte]bool{}
	eventually(t, "a snapshot of many sections", func() bool {
		done := make(chan bool, 1)
		for _, each := range writers {
			each.tell("sections 2000")
		}
		go func() {
			defer func() { done <- true }()
			for _, each := range writers {
				each.hears("done")
			}
		}()
		for going := true; going; {
			select {
			case <-done:
				going = false
			default:
			}
			for _, segment := range segments {
				must(t, segment.Snapshot(ctx, copied, 0))
				if !whole(copied) {
					t.Fatal("a snapshot has parts of two sections")
				}
				seen[copied[0]] = true
			}
		}
		return len(seen) >= 3
	})
	if final := byte(segments[0].Words().Sequence() / 2); copied[0] != final {
		t.Fatalf("the last snapshot has %d and not %d", copied[0], final)
	}
}

func TestASnapshotOfWhatADeadWriterLeftFails(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	segment := create(t, client, "go/section/dead", 100, nil)
	readers := []*shmd.Segment{segment, reader(t, client, "go/section/dead")}
	copied := make([]byte, 100)
	must(t, segment.Snapshot(ctx, copied, 0))
	writer := here(t, "go/section/dead", shmd.Write)
	writer.does("begin 7", "half written")
	ended, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := segment.Snapshot(ended, copied, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("beside a section that goes on it gives %v", err)
	}
	during := make(chan error)
	go func() { during <- readers[1].Snapshot(ctx, make([]byte, 100), 0) }()
	writer.kill()
	if err := <-during; !errors.Is(err, shmd.ErrHalfWritten) {
		t.Fatalf("it gives %v", err)
	}
	for _, each := range readers {
		if err := each.Snapshot(ctx, copied, 0); !errors.Is(err, shmd.ErrHalfWritten) {
			t.Fatalf("it gives %v", err)
		}
	}

	section, err := segment.BeginWrite(ctx)
	must(t, err)
	if !section.OwnerDied() {
		t.Fatal("nobody tells that the owner died")
	}
	must(t, section.End()) // not repaired
	if err := readers[1].Snapshot(ctx, copied, 0); !errors.Is(err, shmd.ErrHalfWritten) {
		t.Fatalf("it gives %v", err)
	}
	section, err = segment.BeginWrite(ctx)
	must(t, err)
	fill(segment.Bytes(), 9)
	must(t, section.MakeConsistent())
	must(t, section.End())
	for _, each := range readers {
		must(t, each.Snapshot(ctx, copied, 0))
		if !whole(copied) || copied[0] != 9 {
			t.Fatalf("it has %v", copied)
		}
	}
}

func TestARepairUnderTheMutexAloneEndsTheSection(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	segment := create(t, client, "go/section/mutex", 100, nil)
	writer := here(t, "go/section/mutex", shmd.Write)
	writer.does("begin 7", "half written")
	writer.kill()
	lock, err := segment.Lock(ctx)
	must(t, err)
	if !lock.OwnerDied() {
		t.Fatal("nobody tells that the owner died")
	}
	fill(segment.Bytes(), 8)
	must(t, lock.MakeConsistent())
	must(t, lock.MakeConsistent())
	must(t, lock.Unlock())
	copied := make([]byte, 100)
	must(t, segment.Snapshot(ctx, copied, 0))
	if !whole(copied) || copied[0] != 8 {
		t.Fatalf("it has %v", copied)
	}
	writer = here(t, "go/section/mutex", shmd.Write)
	writer.does("lock", "locked") // and not in a section
	writer.kill()
	lock, err = segment.Lock(ctx)
	must(t, err)
	must(t, segment.Snapshot(ctx, copied, 0))
	must(t, lock.Unlock())
	must(t, segment.Snapshot(ctx, copied, 0))
}

func TestEndingASectionTwiceIsAnError(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "", 100, nil)
	section, err := segment.BeginWrite(ctx)
	must(t, err)
	must(t, section.End())
	next, err := segment.BeginWrite(ctx)
	must(t, err)
	for _, err := range []error{section.End(), section.MakeConsistent()} {
		if !errors.Is(err, shmd.ErrNotHeld) {
			t.Errorf("it gives %v", err)
		}
	}
	if segment.Words().Sequence()%2 != 1 {
		t.Error("it has ended another section")
	}
	must(t, next.End())
	if n := segment.Words().Sequence(); n != 4 {
		t.Errorf("the sequence is %d", n)
	}
}

func TestAViewIsOfOneSection(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	create(t, client, "go/section/view", 10000, nil)
	writer := here(t, "go/section/view", shmd.Write)
	writer.does("sections 1", "done")
	writer.tell("sections 5000")
	segment := reader(t, client, "go/section/view")
	for i := 0; i < 1000; i++ {
		isWhole := false
		must(t, segment.SnapshotView(ctx, func(memory []byte) error {
			isWhole = whole(memory)
			return nil
		}))
		if !isWhole {
			t.Fatal("it has seen parts of two sections")
		}
	}
	writer.hears("done")
	func() {
		defer func() { _ = recover() }()
		segment.SnapshotView(ctx, func(memory []byte) error { panic("own") })
	}()
	own := errors.New("own")
	if err := segment.SnapshotView(ctx, func([]byte) error { return own }); err != own {
		t.Fatalf("it gives %v", err)
	}
	if err := segment.SnapshotView(ctx, func(memory []byte) error {
		memory[0] = 1
		return nil
	}); !errors.Is(err, shmd.ErrReadOnly) {
		t.Fatalf("it gives %v", err)
	}
	words := segment.Words()
	must(t, segment.Close())
	if words.Mapped() {
		t.Error("the area is still mapped")
	}
}

func TestSnapshotsOfAPart(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "", 100, nil)
	copy(segment.Bytes()[90:], "0123456789")
	part := make([]byte, 5)
	must(t, segment.Snapshot(ctx, part, 93))
	if string(part) != "34567" {
		t.Fatalf("it has %q", part)
	}
	must(t, segment.Snapshot(ctx, nil, 100))
	for _, offset := range []int64{-1, 96, 101, 1 << 62} {
		if err := segment.Snapshot(ctx, part, offset); !errors.Is(err, shmd.ErrOutOfRange) {
			t.Errorf("from %d on it gives %v", offset, err)
		}
	}
}
