package shmd_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"shmd"
)

func TestWaitGivesTheVersion(t *testing.T) {
	ctx := soon(t)
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
	ctx := soon(t)
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

func TestAReadOnlyWaiterIsWoken(t *testing.T) {
	ctx := soon(t)
	segment := create(t, dial(t), "go/version/read", 100, nil)
	waiter := here(t, "go/version/read", shmd.Read)
	waiter.does("lock", "read only")
	waiter.does("notify", "read only")
	wakesAtOnce(t, func(i int) time.Time {
		waiter.tell(fmt.Sprint("wait ", i))
		waiter.fallsAsleep()
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

func TestManyGoroutinesWaitForDifferentVersions(t *testing.T) {
	ctx := soon(t)
	const count = 200
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	other := twice(t, client, segment)
	wakesAtOnce(t, func(round int) time.Time {
		var group sync.WaitGroup
		for i := 0; i < count; i++ {
			after := uint64(round*count + i)
			group.Add(1)
			go func() {
				defer group.Done()
				version, err := segment.Wait(ctx, after)
				if err != nil || version <= after {
					t.Error(version, err)
				}
			}()
		}
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
	ctx := soon(t)
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
