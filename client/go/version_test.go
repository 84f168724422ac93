package shmd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shmd"
)

func TestWaitGivesTheVersion(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	for i := uint64(1); i <= 3; i++ {
		version, err := segment.Notify(ctx)
		if err != nil || version != i {
			t.Fatal(version, err)
		}
	}
	for after := uint64(0); after < 3; after++ {
		if version, err := segment.Wait(ctx, after); err != nil || version != 3 {
			t.Fatal(version, err)
		}
	}
	if version, err := segment.Version(ctx); err != nil || version != 3 {
		t.Fatal(version, err)
	}
}

func TestProcessesNotifyEachOther(t *testing.T) {
	segment := create(t, dial(t), "go/version/ping", 100, nil)
	other := here(t, "go/version/ping", shmd.Write)
	version := uint64(0)
	for i := 0; i < 100; i++ {
		other.tell(fmt.Sprint("wait ", version))
		version, _ = segment.Notify(ctx)
		other.hears(fmt.Sprint(version))
		other.tell("notify")
		next, err := segment.Wait(ctx, version)
		if err != nil || next != version+1 {
			t.Fatal(next, err)
		}
		version = next
		other.hears("done")
	}
}

// sleepsOnFutex tells whether a thread of a process is in futex_waitv(2), with which a thread of Go's own does not sleep.
func sleepsOnFutex(t *testing.T, pid int) bool {
	call := shmd.WaitvNumber()
	if call < 0 {
		t.Skip("this kernel has no futex_waitv(2) to tell it by")
	}
	calls, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	must(t, err)
	for _, each := range calls {
		text, err := os.ReadFile(each)
		if errors.Is(err, os.ErrPermission) {
			t.Skip("this process may not see what another one does")
		}
		if strings.HasPrefix(string(text), fmt.Sprint(call, " ")) {
			return true
		}
	}
	return false
}

// A wait that nobody ends looks again after a second, so that a wake-up that does not come is hard to tell. Once in many times
// it must be at once.
func wakesAtOnce(t *testing.T, round func(i int) time.Time) {
	t.Helper()
	for i := 0; i < 20; i++ {
		if time.Since(round(i)) < time.Second/2 {
			return
		}
	}
	t.Fatal("nobody was woken")
}

func TestAReadOnlyWaiterIsWoken(t *testing.T) {
	segment := create(t, dial(t), "go/version/read", 100, nil)
	waiter := here(t, "go/version/read", shmd.Read)
	waiter.does("lock", "read only")
	waiter.does("notify", "read only")
	wakesAtOnce(t, func(i int) time.Time {
		waiter.tell(fmt.Sprint("wait ", i))
		eventually(t, "it is asleep", func() bool { return sleepsOnFutex(t, waiter.command.Process.Pid) })
		begin := time.Now()
		_, err := segment.Notify(ctx)
		must(t, err)
		waiter.hears(fmt.Sprint(i + 1))
		return begin
	})
	if segment.Words().Version()%2 != 0 {
		t.Fatal("it has written to the version")
	}
}

func TestAnUnlockWakes(t *testing.T) {
	segment := create(t, dial(t), "go/version/unlock", 100, nil)
	waiter := here(t, "go/version/unlock", shmd.Write)
	for _, kind := range []struct {
		lock func() (*shmd.Lock, error)
		tell string
	}{
		{func() (*shmd.Lock, error) { return segment.Lock(ctx) }, "lock"},
		{func() (*shmd.Lock, error) { return segment.WriteLock(ctx) }, "write-lock"},
		{func() (*shmd.Lock, error) { return segment.WriteLock(ctx) }, "read-lock"},
	} {
		wakesAtOnce(t, func(int) time.Time {
			lock, err := kind.lock()
			must(t, err)
			waiter.tell(kind.tell)
			eventually(t, "it is asleep", func() bool { return sleepsOnFutex(t, waiter.command.Process.Pid) })
			begin := time.Now()
			must(t, lock.Unlock())
			waiter.hears("locked")
			waiter.does("unlock", "done")
			return begin
		})
	}
	wakesAtOnce(t, func(int) time.Time {
		lock, err := segment.ReadLock(ctx)
		must(t, err)
		waiter.tell("write-lock")
		eventually(t, "it is asleep", func() bool { return sleepsOnFutex(t, waiter.command.Process.Pid) })
		begin := time.Now()
		must(t, lock.Unlock())
		waiter.hears("locked")
		waiter.does("unlock", "done")
		return begin
	})
}

func TestManyGoroutinesWaitForDifferentVersions(t *testing.T) {
	const count = 200
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	other := twice(t, client, segment)
	var group sync.WaitGroup
	for i := 0; i < count; i++ {
		after := uint64(i)
		group.Add(1)
		go func() {
			defer group.Done()
			version, err := segment.Wait(ctx, after)
			if err != nil || version <= after {
				t.Error(version, err)
			}
		}()
	}
	wakesAtOnce(t, func(i int) time.Time {
		begin := time.Now()
		for j := 0; j < count; j++ {
			_, err := other.Notify(ctx)
			must(t, err)
		}
		group.Wait()
		return begin
	})
}

func TestNotificationsComeToAChannel(t *testing.T) {
	segment := create(t, dial(t), "go/version/channel", 100, nil)
	other := here(t, "go/version/channel", shmd.Write)
	ending, cancel := context.WithCancel(ctx)
	defer cancel()
	notifications := segment.Notifications(ending, 0)
	last := uint64(0)
	for i := 0; i < 10; i++ {
		other.does("notify", "done")
		version := <-notifications.C
		if version <= last || version > uint64(i+1) {
			t.Fatalf("version %d comes after %d", version, last)
		}
		last = version
	}
	for i := 0; i < 10; i++ {
		other.does("notify", "done")
	}
	for last < 20 { // the newest one comes, whatever was left out
		version := <-notifications.C
		if version <= last {
			t.Fatalf("version %d comes after %d", version, last)
		}
		last = version
	}
	if err := notifications.Err(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if version, open := <-notifications.C; open {
		t.Fatalf("version %d comes after the end", version)
	}
	if err := notifications.Err(); !errors.Is(err, context.Canceled) {
		t.Fatalf("it has ended with %v", err)
	}
}
