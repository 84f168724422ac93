package shmd

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// Memory that is not there: a page of a file that has been cut since it was mapped gives the same signal.
func TestAPageThatIsNotThereIsErrFault(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	length := 2 * os.Getpagesize()
	if err := file.Truncate(int64(length)); err != nil {
		t.Fatal(err)
	}
	address, err := mapShared(int(file.Fd()), uintptr(length), Write)
	if err != nil {
		t.Fatal(err)
	}
	m := &mapping{address: address, length: uintptr(length)}
	defer m.close()
	if err := file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	s := &Segment{memory: m, access: Write, info: &Info{Key: "cut"}}
	s.size.Store(int64(length))
	_, read := s.ReadAt(make([]byte, 10), 0)
	_, written := s.WriteAt(make([]byte, 10), int64(length)-10)
	viewed := s.View(func(memory []byte) error { memory[0] = 1; return nil })
	for _, err := range []error{read, written, viewed} {
		if !errors.Is(err, ErrFault) {
			t.Errorf("it gives %v", err)
		}
	}
}

// What the daemon passes has to be memory, of the size that it tells, that cannot shrink.
func TestDescriptorsThatAreNoMemoryAreNonsense(t *testing.T) {
	device, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	unsealed, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer unsealed.Close()
	if err := unsealed.Truncate(100); err != nil {
		t.Fatal(err)
	}
	other := memory(t, 99, 1)[0]
	for name, descriptor := range map[string]int{
		"a device": int(device.Fd()), "a file": int(unsealed.Fd()), "memory of another size": other,
	} {
		copied, err := syscall.Dup(descriptor)
		if err != nil {
			t.Fatal(err)
		}
		capacity, none := int64(100), HugeNone
		_, err = measure(copied, &wireInfo{CapacityBytes: &capacity, HugePages: &none})
		syscall.Close(copied)
		var broken *ProtocolError
		if !errors.As(err, &broken) {
			t.Errorf("%s gives %v", name, err)
		}
	}
}
