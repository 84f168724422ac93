package shmd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"shmd"
	"shmd/internal/daemontest"
)

// faults runs touch and tells at which address it panics.
func faults(touch func()) (address uintptr) {
	defer func() {
		if fault, ok := recover().(interface {
			runtime.Error
			Addr() uintptr
		}); ok {
			address = fault.Addr()
		}
	}()
	touch()
	return 0
}

func reader(t *testing.T, client *shmd.Client, key shmd.Key) *shmd.Segment {
	t.Helper()
	segment, err := client.Open(ctx, key, shmd.Read, nil)
	must(t, err)
	t.Cleanup(func() { segment.Close() })
	return segment
}

func TestWhatOneWritesAnotherReads(t *testing.T) {
	client := dial(t)
	written := create(t, client, "go/memory/a", 100, nil)
	copy(written.Bytes(), "hello")
	read := reader(t, client, "go/memory/a")
	if !bytes.HasPrefix(read.Bytes(), []byte("hello")) || len(read.Bytes()) != 100 || cap(read.Bytes()) != 100 {
		t.Fatalf("read %q", read.Bytes())
	}
	if &read.Bytes()[0] != &read.Bytes()[0] {
		t.Fatal("Bytes is a copy")
	}
}

func TestLargeMemoryIsMappedWhereHugePagesFit(t *testing.T) {
	const hugePage = 2 << 20
	client := dial(t)
	for i := 0; i < 4; i++ {
		segment := create(t, client, shmd.Key(fmt.Sprintf("go/memory/large/%d", i)), hugePage+4096, nil)
		if address := uintptr(unsafe.Pointer(&segment.Bytes()[0])); address%hugePage != 0 {
			t.Errorf("mapped at %#x", address)
		}
	}
}

func TestBytesAfterCloseIsAPanic(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "", 5000, nil)
	memory := segment.Bytes()
	memory[4999] = 1
	must(t, segment.Close())
	for _, place := range []int{0, 4999} {
		if faults(func() { memory[place]++ }) == 0 {
			t.Fatal("memory can be used after Close")
		}
	}
	if segment.Bytes() != nil {
		t.Fatal("a closed segment has memory")
	}
}

func TestAddressesOfClosedSegmentsAreNotGivenAway(t *testing.T) {
	client := dial(t)
	var old [][]byte
	for i := 0; i < 1500; i++ { // more than are kept
		segment, err := client.Create(ctx, "", 4096, &shmd.CreateOptions{Lifetime: shmd.LifetimeAttached})
		must(t, err)
		old = append(old, segment.Bytes())
		must(t, segment.Close())
	}
	for _, memory := range old[len(old)-1000:] {
		if faults(func() { memory[0] = 1 }) == 0 {
			t.Fatal("memory of a closed segment is somebody else's")
		}
	}
}

func TestWritingToReadOnlyBytesIsAPanic(t *testing.T) {
	client := dial(t)
	create(t, client, "go/memory/b", 100, nil)
	memory := reader(t, client, "go/memory/b").Bytes()
	if faults(func() { memory[7] = 1 }) == 0 || memory[7] != 0 {
		t.Fatal("read-only memory can be written")
	}
}

func TestViewGivesErrorsForFaults(t *testing.T) {
	client := dial(t)
	create(t, client, "go/memory/c", 100, nil)
	segment := reader(t, client, "go/memory/c")
	reached := false
	err := segment.View(func(memory []byte) error {
		memory[0] = 1
		reached = true
		return nil
	})
	if !errors.Is(err, shmd.ErrReadOnly) || reached {
		t.Fatalf("View gives %v", err)
	}
	own := errors.New("own")
	if err := segment.View(func([]byte) error { return own }); err != own {
		t.Fatalf("View gives %v", err)
	}
	if faults(func() { segment.View(func([]byte) error { var none *int; *none = 1; return nil }) }) != 0 {
		t.Fatal("another fault is taken for one of the memory")
	}
	func() {
		defer func() {
			if reason := recover(); reason != "own" {
				t.Errorf("the panic is %v", reason)
			}
		}()
		segment.View(func([]byte) error { panic("own") })
	}()
}

// No other segment of these tests is so large: the kernel does not tell which is which.
const sizeOfD, sizeOfH = 300_000, 400_000

func TestCloseWaitsForNoViewAndTakesNothingFromIt(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "go/memory/d", sizeOfD, nil)
	mapped := daemontest.MappedSegments(sizeOfD)
	must(t, segment.View(func(memory []byte) error {
		must(t, segment.Close())
		memory[0] = 1
		if daemontest.MappedSegments(sizeOfD) != mapped {
			t.Error("the memory has gone")
		}
		if info, err := client.Describe(ctx, shmd.Key("go/memory/d")); err != nil || info.Attachments != 1 {
			t.Errorf("the grant has ended: %v %v", info, err)
		}
		return nil
	}))
	if daemontest.MappedSegments(sizeOfD) != 0 {
		t.Fatal("the memory is still mapped")
	}
	if info, err := client.Describe(ctx, shmd.Key("go/memory/d")); err != nil || info.Attachments != 0 {
		t.Fatalf("the grant has not ended: %v %v", info, err)
	}
}

func TestAClosedSegmentGivesErrClosed(t *testing.T) {
	client := dial(t)
	segment, err := client.Create(ctx, "", 100, &shmd.CreateOptions{Lifetime: shmd.LifetimeAttached})
	must(t, err)
	must(t, segment.Close())
	_, read := segment.ReadAt(make([]byte, 1), 0)
	_, written := segment.WriteAt(make([]byte, 1), 0)
	_, slice := shmd.SliceOf[int32](segment)
	for name, err := range map[string]error{
		"ReadAt": read, "WriteAt": written, "SliceOf": slice, "Close": segment.Close(),
		"View":    segment.View(func([]byte) error { return nil }),
		"Publish": segment.Publish(ctx, "x", false), "Seal": segment.Seal(ctx), "Resize": segment.Resize(ctx, 1),
		"Remap": segment.Remap(ctx), "Renew": segment.Renew(ctx),
	} {
		if !errors.Is(err, shmd.ErrClosed) || !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

func TestReadAtAndWriteAt(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "go/memory/e", 10, nil)
	var _ io.ReaderAt = segment
	var _ io.WriterAt = segment
	var _ io.Closer = segment
	if n, err := segment.WriteAt([]byte("0123456789"), 0); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	for _, c := range []struct {
		offset int64
		length int
		read   string
		err    error
	}{
		{0, 10, "0123456789", nil}, {3, 2, "34", nil}, {8, 5, "89", io.EOF}, {10, 1, "", io.EOF}, {10, 0, "", io.EOF},
		{11, 1, "", io.EOF}, {-1, 1, "", shmd.ErrOutOfRange}, {0, 0, "", nil},
	} {
		p := make([]byte, c.length)
		n, err := segment.ReadAt(p, c.offset)
		if string(p[:n]) != c.read || !errors.Is(err, c.err) {
			t.Errorf("ReadAt %d, %d gives %q, %v", c.offset, c.length, p[:n], err)
		}
	}
	for _, c := range []struct {
		offset int64
		length int
		err    error
	}{
		{9, 1, nil}, {10, 0, nil}, {9, 2, shmd.ErrOutOfRange}, {-1, 1, shmd.ErrOutOfRange}, {11, 0, shmd.ErrOutOfRange},
	} {
		if n, err := segment.WriteAt(make([]byte, c.length), c.offset); !errors.Is(err, c.err) || err == nil && n != c.length || err != nil && n != 0 {
			t.Errorf("WriteAt %d, %d gives %d, %v", c.offset, c.length, n, err)
		}
	}
	read, err := io.ReadAll(io.NewSectionReader(segment, 2, 3))
	if string(read) != "234" || err != nil {
		t.Errorf("read %q, %v", read, err)
	}
	if _, err := reader(t, client, "go/memory/e").WriteAt([]byte("x"), 0); !errors.Is(err, shmd.ErrReadOnly) {
		t.Errorf("WriteAt gives %v", err)
	}
}

func TestSliceOf(t *testing.T) {
	type pair struct {
		A, _ uint32
		B    [2]float64
	}
	client := dial(t)
	segment := create(t, client, "", 100, nil)
	numbers, err := shmd.SliceOf[uint64](segment)
	must(t, err)
	if len(numbers) != 12 {
		t.Fatalf("%d numbers", len(numbers))
	}
	atomic.StoreUint64(&numbers[1], 0x0102030405060708)
	if pairs, err := shmd.SliceOf[pair](segment); err != nil || len(pairs) != 4 {
		t.Fatal(pairs, err)
	}
	if segment.Bytes()[8]+segment.Bytes()[15] != 9 {
		t.Fatal("the slice is not the memory")
	}
	if none, err := shmd.SliceOf[[200]byte](segment); none != nil || err != nil {
		t.Fatal(none, err)
	}
	_, text := shmd.SliceOf[string](segment)
	_, pointer := shmd.SliceOf[struct{ p *int }](segment)
	_, nothing := shmd.SliceOf[struct{}](segment)
	for _, err := range []error{text, pointer, nothing} {
		if !errors.Is(err, shmd.ErrInvalidArgument) {
			t.Errorf("SliceOf gives %v", err)
		}
	}
}

func TestForgottenSegmentsAreClosed(t *testing.T) {
	client := dial(t)
	key := shmd.Key("go/memory/f")
	create(t, client, key, 100, nil)
	given := func() []byte {
		_, err := client.Open(ctx, key, shmd.Write, nil)
		must(t, err)
		exposed, err := client.Open(ctx, key, shmd.Write, nil)
		must(t, err)
		return exposed.Bytes()
	}()
	deadline, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		runtime.GC()
		info, err := client.Describe(deadline, key)
		must(t, err)
		if info.Attachments == 2 {
			break
		}
		runtime.Gosched()
	}
	for i := 0; i < 10; i++ {
		runtime.GC()
	}
	given[0] = 1 // of a segment that is not forgotten, since its memory is in use
	if info, err := client.Describe(ctx, key); err != nil || info.Attachments != 2 {
		t.Fatal(info, err)
	}
}

func TestManyGoroutinesAtOnce(t *testing.T) {
	client := dial(t)
	shared := create(t, client, "go/memory/g", 1<<16, nil)
	var group sync.WaitGroup
	for i := 0; i < 16; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			for j := 0; j < 50; j++ {
				segment, err := client.Open(ctx, shmd.Key("go/memory/g"), shmd.Write, nil)
				if err != nil {
					t.Error(err)
					return
				}
				text := []byte(fmt.Sprintf("%8d", j))
				offset := int64(i) * 8
				_, written := segment.WriteAt(text, offset)
				back := make([]byte, 8)
				_, read := shared.ReadAt(back, offset)
				if written != nil || read != nil || !bytes.Equal(text, back) {
					t.Errorf("%q is %q: %v, %v", text, back, written, read)
				}
				go segment.Close()
				if err := segment.View(func([]byte) error { return nil }); err != nil && !errors.Is(err, shmd.ErrClosed) {
					t.Error(err)
				}
			}
		}(i)
	}
	group.Wait()
}

func TestTenThousandOpensLeaveNothing(t *testing.T) {
	client := dial(t)
	create(t, client, "go/memory/h", sizeOfH, nil)
	before := daemontest.Descriptors()
	for i := 0; i < 10000; i++ {
		segment, err := client.Open(ctx, shmd.Key("go/memory/h"), shmd.Read, nil)
		must(t, err)
		must(t, segment.Close())
		if i%10 == 0 {
			if _, err := client.Open(ctx, shmd.Key("go/memory/none"), shmd.Read, nil); !errors.Is(err, shmd.ErrNoSuchSegment) {
				t.Fatal(err)
			}
		}
	}
	if after := daemontest.Descriptors(); after > before {
		t.Fatalf("%d descriptors are left", after-before)
	}
	if mapped := daemontest.MappedSegments(sizeOfH); mapped != 1 {
		t.Fatalf("it is mapped %d times", mapped)
	}
	if info, err := client.Describe(ctx, shmd.Key("go/memory/h")); err != nil || info.Attachments != 1 {
		t.Fatal(info, err)
	}
}

func TestNoMoreDescriptors(t *testing.T) {
	client := dial(t)
	create(t, client, "go/memory/i", 100, nil)
	var files []*os.File
	var before syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	lowered := syscall.Rlimit{Cur: uint64(daemontest.Descriptors() + 20), Max: before.Max}
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lowered))
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
	for {
		file, err := os.Open("/dev/null")
		if err != nil {
			break
		}
		files = append(files, file)
	}
	_, opened := client.Open(ctx, shmd.Key("go/memory/i"), shmd.Read, nil)
	for _, each := range files {
		each.Close()
	}
	if !errors.Is(opened, syscall.EMFILE) {
		t.Fatalf("Open gives %v", opened)
	}
	if info, err := client.Describe(ctx, shmd.Key("go/memory/i")); err != nil || info.Attachments != 1 {
		t.Fatalf("the grant has not ended: %v %v", info, err)
	}
	reader(t, client, "go/memory/i")
}
