package shmd_test

// Who is woken. The kernel is asked whether another process is asleep before that.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shmd"
)

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

func TestOneWaiterAfterTheOtherIsWoken(t *testing.T) {
	segment := create(t, dial(t), "go/wake/chain", 100, nil)
	waiters := []*actor{here(t, "go/wake/chain", shmd.Write), here(t, "go/wake/chain", shmd.Write), here(t, "go/wake/chain", shmd.Write)}
	wakesAtOnce(t, func(int) time.Time {
		lock, err := segment.Lock(ctx)
		must(t, err)
		for _, each := range waiters {
			each.tell("count 1")
		}
		for _, each := range waiters {
			eventually(t, "it is asleep", func() bool { return sleepsOnFutex(t, each.command.Process.Pid) })
		}
		begin := time.Now()
		must(t, lock.Unlock())
		for _, each := range waiters {
			each.hears("done")
		}
		return begin
	})
}
