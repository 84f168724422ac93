package shmd_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"shmd"
	"shmd/internal/daemontest"
)

func keeping(t *testing.T) (*daemontest.Manager, *shmd.Client) {
	t.Helper()
	manager := newManager(t, daemontest.Options{Store: 4096})
	client, err := shmd.Dial(ctx, manager.Socket())
	must(t, err)
	t.Cleanup(func() { client.Close() })
	return manager, client
}

func attachments(t *testing.T, client *shmd.Client, key shmd.Key) int64 {
	t.Helper()
	info, err := client.Describe(ctx, key)
	must(t, err)
	return info.Attachments
}

// reaches asks until there are so many: what is given back to the next daemon takes a moment.
func reaches(t *testing.T, client *shmd.Client, key shmd.Key, wanted int64) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); attachments(t, client, key) != wanted; {
		if time.Now().After(deadline) {
			t.Fatalf("%d attachments and not %d", attachments(t, client, key), wanted)
		}
	}
}

func TestOpenSegmentsGoOnOverARestart(t *testing.T) {
	manager, client := keeping(t)
	live, err := client.Create(ctx, "a", 100, &shmd.CreateOptions{Capacity: 1000})
	must(t, err)
	staged, err := client.Create(ctx, "b", 100, &shmd.CreateOptions{Staged: true})
	must(t, err)
	attached, err := client.Create(ctx, "c", 100, &shmd.CreateOptions{Lifetime: shmd.LifetimeAttached})
	must(t, err)
	copy(staged.Bytes(), "written before")
	for i := 0; i < 3; i++ {
		must(t, manager.Restart())
		if n := attachments(t, client, "a"); n != 1 {
			t.Fatalf("%d attachments after restart %d", n, i)
		}
		must(t, live.Resize(ctx, 100+int64(i)))
		live.Bytes()[99+i] = 1
	}
	must(t, staged.Publish(ctx, "", false))
	other, err := client.Open(ctx, shmd.Key("b"), shmd.Read, nil)
	must(t, err)
	if string(other.Bytes()[:14]) != "written before" {
		t.Fatalf("it has %q", other.Bytes())
	}
	must(t, other.Close())
	must(t, manager.Restart())
	must(t, live.Seal(ctx))
	must(t, live.Close())
	must(t, attached.Close())
	if n := attachments(t, client, "a"); n != 0 {
		t.Fatalf("%d attachments after Close", n)
	}
	if _, err := client.Describe(ctx, shmd.Key("c")); !errors.Is(err, shmd.ErrNoSuchSegment) {
		t.Fatalf("it should have gone: %v", err)
	}
	must(t, staged.Close())
}

func TestASegmentIsUsedFirstAfterARestart(t *testing.T) {
	manager, client := keeping(t)
	a, err := client.Create(ctx, "a", 100, &shmd.CreateOptions{Staged: true})
	must(t, err)
	b, err := client.Create(ctx, "b", 100, nil)
	must(t, err)
	must(t, client.Close()) // the segments have the connection for themselves
	must(t, manager.Restart())
	must(t, a.Publish(ctx, "", false))
	must(t, b.Remap(ctx))
	if b.Info().Attachments != 1 {
		t.Fatalf("%d attachments", b.Info().Attachments)
	}
	must(t, a.Close())
	must(t, b.Close())
}

func TestClosedAfterARestartBeforeAnyCall(t *testing.T) {
	manager, client := keeping(t)
	a, err := client.Create(ctx, "a", 100, nil)
	must(t, err)
	b, err := client.Create(ctx, "b", 100, nil)
	must(t, err)
	must(t, manager.Restart())
	must(t, a.Close()) // nobody has taken anything up yet
	reaches(t, client, "a", 0)
	if n := attachments(t, client, "b"); n != 1 {
		t.Fatalf("%d attachments of the other", n)
	}
	must(t, manager.Restart())
	must(t, client.Delete(ctx, shmd.Key("a"))) // takes up what there is
	must(t, b.Close())
	if n := attachments(t, client, "b"); n != 0 {
		t.Fatalf("%d attachments", n)
	}
}

func TestClosedWhileThereIsNoDaemon(t *testing.T) {
	manager, client := keeping(t)
	a, err := client.Create(ctx, "a", 100, nil)
	must(t, err)
	manager.Kill()
	must(t, a.Close())
	must(t, manager.Start())
	reaches(t, client, "a", 0)
}

func TestMoreSegmentsThanOneResumeTakes(t *testing.T) {
	manager, client := keeping(t)
	a, err := client.Create(ctx, "a", 4096, nil)
	must(t, err)
	refs := make([]shmd.Ref, 5000)
	for i := range refs {
		refs[i] = shmd.Key("a")
	}
	opened, err := client.OpenMany(ctx, refs, shmd.Read)
	must(t, err)
	for _, each := range opened {
		must(t, each.Err)
	}
	must(t, manager.Restart())
	if n := attachments(t, client, "a"); n != 5001 {
		t.Fatalf("%d attachments", n)
	}
	for _, each := range opened {
		must(t, each.Segment.Close())
	}
	if n := attachments(t, client, "a"); n != 1 {
		t.Fatalf("%d attachments after Close", n)
	}
	must(t, a.Close())
}

func TestCallsWaitForTheNextDaemon(t *testing.T) {
	manager, client := keeping(t)
	a, err := client.Create(ctx, "a", 100, &shmd.CreateOptions{Staged: true})
	must(t, err)
	manager.Kill()
	briefly, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if err := a.Publish(briefly, "", false); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("it gives %v", err)
	}
	published := make(chan error)
	go func() { published <- a.Publish(ctx, "", false) }()
	must(t, manager.Start())
	must(t, <-published)
	must(t, a.Close())
}

func TestRestartsUnderManyGoroutines(t *testing.T) {
	manager, client := keeping(t)
	const workers = 8
	stop := make(chan struct{})
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		key := shmd.Key(fmt.Sprintf("worker/%d", i))
		mine, err := client.Create(ctx, key, 100, nil)
		must(t, err)
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; ; j++ {
				select {
				case <-stop:
					if err := mine.Close(); err != nil {
						t.Error(err)
					}
					return
				default:
				}
				if err := mine.Remap(ctx); err != nil && !errors.Is(err, shmd.ErrDisconnected) {
					t.Error(err)
				}
				other, err := client.Open(ctx, key, shmd.Write, nil)
				if err != nil {
					if !errors.Is(err, shmd.ErrDisconnected) { // of a second restart under the same call
						t.Error(err)
					}
					continue
				}
				other.Bytes()[0] = byte(j)
				if mine.Bytes()[0] != byte(j) {
					t.Error("it is other memory")
				}
				other.Close()
			}
		}()
	}
	for i := 0; i < 5; i++ {
		must(t, manager.Restart())
		must(t, client.Call(ctx, "org.varlink.service.GetInfo", nil, nil))
	}
	close(stop)
	group.Wait()
	for i := 0; i < workers; i++ {
		if n := attachments(t, client, shmd.Key(fmt.Sprintf("worker/%d", i))); n != 0 {
			t.Errorf("%d attachments are left", n)
		}
	}
}

func TestWithoutAStoreSegmentsEndWithTheDaemon(t *testing.T) {
	manager := newManager(t, daemontest.Options{})
	client, err := shmd.Dial(ctx, manager.Socket())
	must(t, err)
	defer client.Close()
	a, err := client.Create(ctx, "a", 100, nil)
	must(t, err)
	watch, err := client.Watch(ctx, "")
	must(t, err)
	copy(a.Bytes(), "still here")
	must(t, manager.Restart())
	if err := a.Publish(ctx, "b", false); !errors.Is(err, shmd.ErrDisconnected) {
		t.Fatalf("it gives %v", err)
	}
	if string(a.Bytes()[:10]) != "still here" {
		t.Fatal("the memory has gone")
	}
	for err == nil {
		_, err = watch.Next(ctx)
	}
	if !errors.Is(err, shmd.ErrDisconnected) {
		t.Fatalf("the watch gives %v", err)
	}
	again, err := client.Create(ctx, "a", 100, nil)
	must(t, err)
	must(t, again.Close())
	must(t, a.Close())
}

func TestAWaitOutlivesRestarts(t *testing.T) {
	manager, client := keeping(t)
	opened := make(chan *shmd.Segment)
	go func() {
		segment, err := client.Open(ctx, shmd.Key("late"), shmd.Read, &shmd.OpenOptions{Wait: shmd.WaitForever})
		if err != nil {
			t.Error(err)
		}
		opened <- segment
	}()
	waitForConnections(t, manager, 2)
	must(t, manager.Restart())
	waitForConnections(t, manager, 2)
	_, err := client.Create(ctx, "late", 100, nil)
	must(t, err)
	if segment := <-opened; segment == nil || segment.Key() != "late" {
		t.Fatal("it is another one")
	}
}

// waitForConnections asks the daemon until it has so many, of which the one that asks is none.
func waitForConnections(t *testing.T, manager *daemontest.Manager, wanted int) {
	t.Helper()
	control, err := shmd.DialControl(ctx, manager.ControlSocket())
	must(t, err)
	defer control.Close()
	deadline, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var status struct{ Connections int }
		must(t, control.Call(deadline, "io.shmd.Control.GetStatus", nil, &status))
		if status.Connections == wanted+1 {
			return
		}
	}
}
