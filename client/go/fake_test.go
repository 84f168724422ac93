package shmd

// A socket of the test that plays the daemon, for answers that a daemon does not give. The memory that it passes is a real
// daemon's.

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

type fake struct {
	t        *testing.T
	path     string
	listener *net.UnixListener
	conn     *net.UnixConn
	reader   *bufio.Reader
}

func newFake(t *testing.T) *fake {
	directory, err := os.MkdirTemp("", "shmd-fake-") // t.TempDir() may be longer than a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	f := &fake{t: t, path: filepath.Join(directory, "socket")}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: f.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	f.listener = listener
	t.Cleanup(func() {
		listener.Close()
		if f.conn != nil {
			f.conn.Close()
		}
	})
	return f
}

func (f *fake) accept() {
	conn, err := f.listener.AcceptUnix()
	if err != nil {
		f.t.Error(err)
		return
	}
	if f.conn != nil {
		f.conn.Close()
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	f.conn, f.reader = conn, bufio.NewReader(conn)
}

// message gives the next one, nil at the end of the stream.
func (f *fake) message() map[string]any {
	text, err := f.reader.ReadBytes(0)
	if err != nil {
		return nil
	}
	var message map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text[:len(text)-1]))
	decoder.UseNumber()
	if err := decoder.Decode(&message); err != nil {
		f.t.Error(err)
	}
	return message
}

func (f *fake) answer(text string, descriptors ...int) {
	var rights []byte
	if len(descriptors) > 0 {
		rights = syscall.UnixRights(descriptors...)
	}
	if _, _, err := f.conn.WriteMsgUnix(append([]byte(text), 0), rights, nil); err != nil {
		f.t.Error(err)
	}
}

// memory gives so many descriptors of the memory of a segment of this size. They go with the test.
func memory(t *testing.T, size int64, count int) []int {
	path, err := findSocket(segmentsSocket)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.release)
	var all []int
	for len(all) < count {
		got, err := call[grant](context.Background(), c,
			encode("Create", create{SizeBytes: size, Lifetime: LifetimeAttached}), nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got.descriptors...)
	}
	t.Cleanup(func() { closeAll(all) })
	return all
}
