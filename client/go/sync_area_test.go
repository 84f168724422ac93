package shmd

// What no caller can bring about in time.

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"shmd/internal/daemontest"
)

// areaOf gives the area of a segment, in use like that of a call that is under way.
func areaOf(t *testing.T, segment *Segment) *syncArea {
	t.Helper()
	a, err := segment.area(context.Background(), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.leave() })
	return a
}

func brief(t *testing.T) *Segment {
	t.Helper()
	client, err := Dial(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	segment, err := client.Create(context.Background(), "", 100, &CreateOptions{Lifetime: LifetimeAttached})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { segment.Close() })
	return segment
}

func TestAReaderLeavesWhenAWriterHasComeMeanwhile(t *testing.T) {
	ctx := context.Background()
	segment := brief(t)
	a := areaOf(t, segment)
	lock, err := segment.WriteLock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	before := a.words.drain.Load()
	if _, _, err := a.claimSlot(); err != ErrLocked {
		t.Fatalf("it gives %v", err)
	}
	if a.readerFrom(0) != slotCount || a.words.drain.Load() == before {
		t.Error("the writer does not hear that it has left")
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestALockThatIsTakenAfterTheEndIsGivenBack(t *testing.T) {
	ctx := context.Background()
	segment := brief(t)
	a := areaOf(t, segment)
	if err := segment.Close(); err != nil {
		t.Fatal(err)
	}
	if !a.retired.isSet() {
		t.Error("who sleeps is not woken")
	}
	for _, try := range []bool{false, true} {
		if _, err := a.lock(ctx, segment, &a.words.mutex, a.lockers, try); err != errRetired {
			t.Errorf("lock gives %v", err)
		}
		if _, _, err := a.readLock(ctx, segment, try); err != errRetired {
			t.Errorf("readLock gives %v", err)
		}
	}
	if word, slot := a.words.mutex.Load(), a.words.slot(0).Load(); word != 0 || slot != 0 {
		t.Errorf("the word is %#x, the slot %d", word, slot)
	}
}

func TestASleeperThatNobodyWakesLooksAgainAfterASecond(t *testing.T) {
	page, err := syscall.Mmap(-1, 0, areaBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(page)
	words := (*areaLayout)(unsafe.Pointer(&page[0]))
	check := func() {
		futex := futexOf(&words.drain)
		waiter := &sleeper{ctx: context.Background(), retired: new(signal)}
		defer waiter.stop()
		for *futex = 1; !waiter.due(); { // on another value it does not sleep
			if err := waiter.sleep(futex, 0); err != nil {
				t.Fatal(err)
			}
		}
		waiter.asked()
		if waiter.due() || waiter.patience != 2*time.Second {
			t.Errorf("then for %v", waiter.patience)
		}
		waiter.patience, waiter.ask = time.Second, time.Now().Add(time.Second)
		if err := waiter.sleep(futex, 1); err != nil || !waiter.due() {
			t.Errorf("it is woken: %v", err)
		}
		for i := 0; i < 10; i++ {
			waiter.asked()
		}
		if waiter.patience != 16*time.Second {
			t.Errorf("then for %v", waiter.patience)
		}
		waiter.retired.set()
		if err := waiter.sleep(futex, 1); err != nil || waiter.due() {
			t.Errorf("after the end it sleeps on: %v", err)
		}
	}
	check()
	WithoutWaitv(check)
}

func TestADaemonThatIsNotThereMayComeBack(t *testing.T) {
	manager, err := daemontest.New(daemontest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	if err := manager.Start(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	client, err := Dial(ctx, manager.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	segment, err := client.Create(ctx, "", 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer segment.Close()
	a := areaOf(t, segment)
	manager.Kill()
	if err := os.Remove(manager.Socket()); err != nil {
		t.Fatal(err)
	}
	waiter := a.newSleeper(ctx)
	waiter.due()
	for i := 1; i <= 3; i++ {
		if err := segment.recoverLocks(a, waiter); err != nil {
			t.Fatalf("the answer that does not come is a failure at %d: %v", i, err)
		}
	}
	if err := segment.recoverLocks(a, waiter); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("it gives %v", err)
	}
}

func TestAVersionThatIsThereIsNotSleptFor(t *testing.T) {
	ctx := context.Background()
	segment := brief(t)
	a := areaOf(t, segment)
	changed := a.nextChange()
	if _, err := segment.Notify(ctx); err != nil { // while nobody sleeps
		t.Fatal(err)
	}
	if err := a.sleepOnVersion(segment, a.newSleeper(ctx), 0); err != nil {
		t.Fatal(err)
	}
	if a.words.version.Load() != 2 {
		t.Error("it has slept")
	}
	select {
	case <-changed:
	default:
		t.Error("the others are not told")
	}
}
