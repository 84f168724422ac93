package shmd_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"shmd"
	"shmd/internal/daemontest"
)

// The daemon that most tests and all examples use.
var daemon *daemontest.Manager

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if work := os.Getenv("SHMD_TEST_HELPER"); work != "" {
		return help(work)
	}
	started, err := daemontest.New(daemontest.Options{})
	if err == nil {
		defer started.Close()
		err = started.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	daemon = started
	os.Setenv("SHMD_SOCKET", daemon.Socket())
	os.Unsetenv("SHMD_CONTROL_SOCKET")
	return m.Run()
}

var ctx = context.Background()

func dial(t testing.TB) *shmd.Client {
	t.Helper()
	client, err := shmd.Dial(ctx, "")
	must(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create makes a segment that goes with the test.
func create(t testing.TB, client *shmd.Client, key shmd.Key, size int64, options *shmd.CreateOptions) *shmd.Segment {
	t.Helper()
	segment, err := client.Create(ctx, key, size, options)
	must(t, err)
	t.Cleanup(func() {
		if cleaner, err := shmd.Dial(ctx, ""); err == nil { // the test may have closed the client and the segment
			cleaner.Delete(ctx, shmd.ID(segment.ID()))
			cleaner.Close()
		}
		segment.Close()
	})
	return segment
}
