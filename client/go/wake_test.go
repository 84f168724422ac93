package shmd_test

// Who is woken. The kernel is asked whether another process is asleep before that.

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

// sleepers counts the threads of a process that are in futex_waitv(2), with which a thread of Go's own does not sleep.
func sleepers(t *testing.T, pid int) (count int) {
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
			count++
		}
	}
	return count
}

func (a *actor) fallsAsleep() {
	a.t.Helper()
	eventually(a.t, "it is asleep", func() bool { return sleepers(a.t, a.command.Process.Pid) > 0 })
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
	ctx := soon(t)
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
			waiter.fallsAsleep()
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
		waiter.fallsAsleep()
		begin := time.Now()
		must(t, lock.Unlock())
		waiter.hears("locked")
		waiter.does("unlock", "done")
		return begin
	})
}

func TestOneWaiterAfterTheOtherIsWoken(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "go/wake/chain", 100, nil)
	waiters := []*actor{here(t, "go/wake/chain", shmd.Write), here(t, "go/wake/chain", shmd.Write), here(t, "go/wake/chain", shmd.Write)}
	wakesAtOnce(t, func(int) time.Time {
		lock, err := segment.Lock(ctx)
		must(t, err)
		for _, each := range waiters {
			each.tell("count 1")
		}
		for _, each := range waiters {
			each.fallsAsleep()
		}
		begin := time.Now()
		must(t, lock.Unlock())
		for _, each := range waiters {
			each.hears("done")
		}
		return begin
	})
}

func TestGoroutinesThatWaitTakeOneThread(t *testing.T) {
	ctx := soon(t)
	const count = 100
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	lock, err := twice(t, client, segment).Lock(ctx)
	must(t, err)
	var begun, ended sync.WaitGroup
	for i := 0; i < count; i++ {
		begun.Add(1)
		ended.Add(1)
		go func() {
			defer ended.Done()
			begun.Done()
			if err := countLocked(ctx, segment, 1); err != nil {
				t.Error(err)
			}
		}()
	}
	begun.Wait()
	eventually(t, "one is asleep", func() bool { return sleepers(t, os.Getpid()) > 0 })
	for i := 0; i < 100; i++ {
		if n := sleepers(t, os.Getpid()); n > 1 {
			t.Fatalf("%d threads are asleep", n)
		}
	}
	must(t, lock.Unlock())
	ended.Wait()
}

func TestTheEndOfAContextAndCloseWake(t *testing.T) {
	ctx := soon(t)
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	lock, err := segment.Lock(ctx)
	must(t, err)
	defer lock.Unlock()
	for name, end := range map[string]func(*shmd.Segment, context.CancelFunc){
		"cancel": func(_ *shmd.Segment, cancel context.CancelFunc) { cancel() },
		"close":  func(waiting *shmd.Segment, _ context.CancelFunc) { must(t, waiting.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			wakesAtOnce(t, func(int) time.Time {
				waiting := twice(t, client, segment)
				ending, cancel := context.WithCancel(ctx)
				defer cancel()
				result := locking(waiting.Lock, ending)
				eventually(t, "it is asleep", func() bool { return sleepers(t, os.Getpid()) > 0 })
				begin := time.Now()
				end(waiting, cancel)
				if (<-result).err == nil {
					t.Fatal("it has the lock")
				}
				return begin
			})
		})
	}
}
