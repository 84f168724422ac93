package shmd_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"shmd"
)

func next(t *testing.T, watch *shmd.Watch, kind shmd.EventKind, key string) {
	t.Helper()
	event, err := watch.Next(ctx)
	must(t, err)
	got := ""
	if event.Segment != nil {
		got = event.Segment.Key
	}
	if event.Kind != kind || got != key {
		t.Fatalf("it tells of %s %q and not of %s %q", event.Kind, got, kind, key)
	}
}

func TestWatchTellsWhatHappens(t *testing.T) {
	client := dial(t)
	create(t, client, "go/watch/a", 100, nil)
	watch, err := client.Watch(ctx, "go/watch/")
	must(t, err)
	defer watch.Close()
	next(t, watch, shmd.EventPresent, "go/watch/a")
	next(t, watch, shmd.EventReady, "")
	b, err := client.Create(ctx, "go/watch/b", 100, &shmd.CreateOptions{Staged: true, Capacity: 200})
	must(t, err)
	must(t, b.Publish(ctx, "", false))
	next(t, watch, shmd.EventPublished, "go/watch/b")
	must(t, b.Resize(ctx, 150))
	next(t, watch, shmd.EventResized, "go/watch/b")
	_, err = client.SetAttributes(ctx, shmd.Key("go/watch/b"), shmd.Attributes{Labels: map[string]string{"a": "b"}})
	must(t, err)
	next(t, watch, shmd.EventChanged, "go/watch/b")
	must(t, b.Seal(ctx))
	next(t, watch, shmd.EventAttached, "go/watch/b")
	next(t, watch, shmd.EventDetached, "go/watch/b")
	next(t, watch, shmd.EventSealed, "go/watch/b")
	must(t, b.Delete(ctx))
	next(t, watch, shmd.EventDeleted, "go/watch/b")
	must(t, b.Close())
}

func TestAContextEndsNextAndLosesNothing(t *testing.T) {
	client := dial(t)
	watch, err := client.Watch(ctx, "go/watch/c")
	must(t, err)
	defer watch.Close()
	next(t, watch, shmd.EventReady, "")
	for i := 0; i < 3; i++ {
		briefly, cancel := context.WithTimeout(ctx, time.Millisecond)
		if _, err := watch.Next(briefly); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		cancel()
	}
	create(t, client, "go/watch/c", 100, nil)
	next(t, watch, shmd.EventCreated, "go/watch/c")
}

func TestEventsAsAnIterator(t *testing.T) {
	client := dial(t)
	create(t, client, "go/watch/d", 100, nil)
	watch, err := client.Watch(ctx, "go/watch/d")
	must(t, err)
	defer watch.Close()
	ended, cancel := context.WithCancel(ctx)
	var kinds []shmd.EventKind
	watch.Events(ended)(func(event shmd.Event, err error) bool {
		must(t, err)
		kinds = append(kinds, event.Kind)
		if event.Kind == shmd.EventReady {
			cancel() // ends it without an error
		}
		return true
	})
	if len(kinds) != 2 {
		t.Fatal(kinds)
	}
}

func TestCloseWakesNext(t *testing.T) {
	client := dial(t)
	watch, err := client.Watch(ctx, "go/watch/e")
	must(t, err)
	next(t, watch, shmd.EventReady, "")
	woken := make(chan error)
	go func() {
		_, err := watch.Next(ctx)
		woken <- err
	}()
	must(t, watch.Close())
	if err := <-woken; !errors.Is(err, shmd.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := watch.Next(ctx); !errors.Is(err, shmd.ErrClosed) {
		t.Fatal(err)
	}
	if err := watch.Close(); !errors.Is(err, shmd.ErrClosed) {
		t.Fatal(err)
	}
}
