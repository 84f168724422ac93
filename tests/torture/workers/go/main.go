// A worker of the torture, in Go. README.md has the contract.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"shmd"
)

const (
	words    = 14
	step     = 16
	patience = time.Minute
)

type structure struct {
	inside, counter uint64
	words           [words]uint64
}

type content struct {
	m, s, r structure
	repairs [3]uint64
}

type worker struct {
	segment *shmd.Segment
	here    *content
	me      uint64
	random  *rand.Rand
}

// wrong ends this worker: a violation, or a call that must not fail.
func wrong(what string, seen any) {
	fmt.Fprintf(os.Stderr, "%s: %+v\n", what, seen)
	os.Exit(3)
}

// failed tells whether a call has failed, which only a daemon that is away explains.
func failed(err error, what string) bool {
	if err != nil && !errors.Is(err, shmd.ErrUnavailable) {
		wrong(what, err)
	}
	return err != nil
}

func (w *worker) dawdle() {
	if w.random.Intn(8) == 0 {
		runtime.Gosched()
	} else if w.random.Intn(100) == 0 {
		time.Sleep(time.Duration(w.random.Intn(300)) * time.Microsecond)
	}
}

func holds(at *structure, inside, counter uint64) bool {
	good := at.inside == inside && at.counter == counter
	for i, word := range at.words {
		good = good && word == step*counter+uint64(i)
	}
	return good
}

func verify(at *structure, what string) {
	if seen := *at; !holds(&seen, 0, seen.counter) {
		wrong(what, seen)
	}
}

func (w *worker) change(at *structure, what string) {
	at.inside = w.me
	counter := at.counter + 1
	if w.random.Intn(2) == 0 {
		at.counter = counter
	}
	first := w.random.Intn(words)
	for i := 0; i < words; i++ {
		word := (first + i) % words
		at.words[word] = step*counter + uint64(word)
		w.dawdle()
	}
	at.counter = counter
	if !holds(at, w.me, counter) {
		wrong(what, *at)
	}
	at.inside = 0
}

func (w *worker) repair(at *structure, which int) {
	w.change(at, "somebody else wrote during a repair")
	w.here.repairs[which]++
}

// S is rewritten only where it is torn: snapshots may be reading it if the dead was in no section.
func (w *worker) repairBoth() {
	w.repair(&w.here.m, 0)
	if !holds(&w.here.s, 0, w.here.s.counter) {
		w.repair(&w.here.s, 1)
	}
}

func (w *worker) lock(ctx context.Context) {
	lock, err := w.segment.Lock(ctx)
	if failed(err, "lock") {
		return
	}
	if lock.OwnerDied() {
		w.repairBoth()
		failed(lock.MakeConsistent(), "make consistent")
	}
	verify(&w.here.m, "M is torn under the mutex")
	verify(&w.here.s, "S is torn under the mutex")
	w.change(&w.here.m, "M: somebody else is inside")
	failed(lock.Unlock(), "unlock")
}

func (w *worker) writeSection(ctx context.Context) {
	section, err := w.segment.BeginWrite(ctx)
	if failed(err, "begin a write section") {
		return
	}
	if section.OwnerDied() {
		w.repairBoth()
		failed(section.MakeConsistent(), "make consistent")
	}
	verify(&w.here.m, "M is torn in a write section")
	verify(&w.here.s, "S is torn in a write section")
	w.change(&w.here.s, "S: somebody else is inside")
	failed(section.End(), "end a write section")
}

func (w *worker) snapshot(ctx context.Context) {
	var bytes [unsafe.Sizeof(structure{})]byte
	var err error
	if offset := unsafe.Offsetof(w.here.s); w.random.Intn(2) == 0 {
		err = w.segment.Snapshot(ctx, bytes[:], int64(offset))
	} else { // slowly, so that writers come in between
		err = w.segment.SnapshotView(ctx, func(memory []byte) error {
			for at := uintptr(0); at < unsafe.Sizeof(structure{}); at += 8 {
				copy(bytes[at:at+8], memory[offset+at:])
				if at == 64 {
					time.Sleep(time.Duration(w.random.Intn(1000)) * time.Microsecond)
				}
			}
			return nil
		})
	}
	if errors.Is(err, shmd.ErrHalfWritten) {
		if w.random.Intn(2) == 0 {
			w.lock(ctx)
		} else {
			w.writeSection(ctx)
		}
	} else if !failed(err, "snapshot") {
		verify((*structure)(unsafe.Pointer(&bytes)), "a snapshot of S is torn")
	}
}

func (w *worker) readLock(ctx context.Context) {
	lock, err := w.segment.ReadLock(ctx)
	if failed(err, "read lock") {
		return
	}
	if !lock.OwnerDied() {
		verify(&w.here.r, "R is torn under the read lock")
		w.dawdle()
		verify(&w.here.r, "R changes under the read lock")
	}
	failed(lock.Unlock(), "read unlock")
}

func (w *worker) writeLock(ctx context.Context) {
	lock, err := w.segment.WriteLock(ctx)
	if failed(err, "write lock") {
		return
	}
	if lock.OwnerDied() {
		w.repair(&w.here.r, 2)
		failed(lock.MakeConsistent(), "make consistent")
	}
	verify(&w.here.r, "R is torn under the write lock")
	w.change(&w.here.r, "R: somebody else is inside")
	failed(lock.Unlock(), "write unlock")
}

func (w *worker) notify(ctx context.Context) {
	_, err := w.segment.Notify(ctx)
	failed(err, "notify")
}

func (w *worker) wait(ctx context.Context) {
	before, err := w.segment.Version(ctx)
	failed(err, "version")
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	after, err := w.segment.Wait(short, before)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		return
	}
	if !failed(err, "wait") && after <= before {
		wrong("wait: an old version", after)
	}
}

// opened opens it, and its sync area with it, while the daemon may come and go.
func opened(path, key string) *shmd.Segment {
	ctx := context.Background()
	for attempt := 0; attempt < 1000; attempt++ {
		client, err := shmd.Dial(ctx, path)
		if err == nil {
			var segment *shmd.Segment
			if segment, err = client.Open(ctx, shmd.Key(key), shmd.Write, nil); err == nil {
				if _, err = segment.Version(ctx); err == nil {
					return segment
				}
			}
		}
		if !errors.Is(err, shmd.ErrUnavailable) && !errors.Is(err, shmd.ErrDisconnected) {
			wrong("open", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	wrong("open", "no daemon")
	return nil
}

func main() {
	if len(os.Args) != 4 {
		os.Exit(2)
	}
	me, err := strconv.ParseUint(os.Args[3], 10, 48)
	if err != nil || binary.Size(content{}) > 4096 {
		os.Exit(2)
	}
	segment := opened(os.Args[1], os.Args[2])
	w := &worker{segment, (*content)(unsafe.Pointer(&segment.Bytes()[0])), me, rand.New(rand.NewSource(int64(me)))}
	fmt.Println("ready")
	acts := []func(context.Context){w.lock, w.writeSection, w.snapshot, w.readLock, w.writeLock, w.notify, w.wait}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		acts[w.random.Intn(len(acts))](ctx)
		cancel()
	}
}
