package shmd_test

import (
	"bytes"
	"testing"

	"shmd"
)

func TestWhatOneWritesAnotherReads(t *testing.T) {
	client := dial(t)
	written := create(t, client, "go/segment/a", 100, nil)
	copy(written.Bytes(), "hello")
	read, err := client.Open(ctx, shmd.Key("go/segment/a"), shmd.Read, nil)
	must(t, err)
	defer read.Close()
	if !bytes.HasPrefix(read.Bytes(), []byte("hello")) || len(read.Bytes()) != 100 || cap(read.Bytes()) != 100 {
		t.Fatalf("read %q", read.Bytes())
	}
}
