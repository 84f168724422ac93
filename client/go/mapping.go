package shmd

// Memory that is mapped into this process, and the care that nobody touches it when it is gone.

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
)

const mappingClosed = int64(1) << 62

// mapping is the memory of one segment. It goes when it has been closed and its last user has left it.
type mapping struct {
	address uintptr
	length  uintptr
	state   atomic.Int64 // users, and mappingClosed
	exposed atomic.Bool  // slices of it may be around that nobody knows of
}

// measure tells how much memory a descriptor has, which must be what the daemon told, and stay so: touching what is not there
// is a SIGBUS.
func measure(descriptor int, segment *wireInfo) (uintptr, error) {
	var status syscall.Stat_t
	if err := syscall.Fstat(descriptor, &status); err != nil {
		return 0, nonsense("its memory cannot be looked at: " + err.Error())
	}
	if status.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return 0, nonsense("its descriptor is not memory")
	}
	rounded := *segment.HugePages == Huge2M || *segment.HugePages == Huge1G
	if status.Size < *segment.CapacityBytes || (status.Size > *segment.CapacityBytes && !rounded) {
		return 0, nonsense(fmt.Sprintf("it tells of %d bytes and passes memory of %d", *segment.CapacityBytes, status.Size))
	}
	if seals, err := sealsOf(descriptor); err != nil || seals&sealShrink == 0 {
		return 0, nonsense("its memory may shrink")
	}
	if uint64(status.Size) > math.MaxInt {
		return 0, fmt.Errorf("it is larger than this process's address space: %w", syscall.ENOMEM)
	}
	return uintptr(status.Size), nil
}

func newMapping(descriptor int, segment *wireInfo, access Access) (*mapping, error) {
	length, err := measure(descriptor, segment)
	if err != nil {
		return nil, err
	}
	address, err := mapShared(descriptor, length, access)
	if err != nil {
		return nil, fmt.Errorf("its memory cannot be mapped: %w", err)
	}
	if *segment.HugePages == HugeTransparent {
		adviseHugePages(address, length) // only with this does the kernel map huge pages as such
	}
	return &mapping{address: address, length: length}, nil
}

// replace puts the same memory with another protection in its place. The caller uses the mapping meanwhile.
func (m *mapping) replace(descriptor int, segment *wireInfo, access Access) error {
	length, err := measure(descriptor, segment)
	if err != nil {
		return err
	}
	if length != m.length {
		return nonsense("its memory has another size than before")
	}
	address, err := mapShared(descriptor, length, access)
	if err != nil {
		return fmt.Errorf("its memory cannot be mapped: %w", err)
	}
	if err := moveOnto(address, length, m.address); err != nil {
		unmap(address, length)
		return fmt.Errorf("its memory cannot be mapped: %w", err)
	}
	return nil
}

// use keeps the memory until leave. False when it has been closed.
func (m *mapping) use() bool {
	for {
		state := m.state.Load()
		if state&mappingClosed != 0 {
			return false
		}
		if m.state.CompareAndSwap(state, state+1) {
			return true
		}
	}
}

// leave is the end of use. True when the memory has gone with it.
func (m *mapping) leave() (gone bool) {
	if m.state.Add(-1) != mappingClosed {
		return false
	}
	m.remove()
	return true
}

// close lets the memory go as soon as nobody uses it. first: it has not been closed before. gone: that was now.
func (m *mapping) close() (first, gone bool) {
	for {
		state := m.state.Load()
		if state&mappingClosed != 0 {
			return false, false
		}
		if m.state.CompareAndSwap(state, state|mappingClosed) {
			if state == 0 {
				m.remove()
			}
			return true, state == 0
		}
	}
}

func (m *mapping) remove() {
	if m.exposed.Load() {
		forbid(m.address, m.length)
	} else {
		unmap(m.address, m.length)
	}
}

// guarded runs touch, which is about to touch the memory. A fault in it becomes an error: ErrReadOnly for a write to memory
// that can be read, ErrFault for memory that is not there.
func (m *mapping) guarded(touch func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		reason := recover()
		if reason == nil {
			return
		}
		fault, ok := reason.(interface {
			runtime.Error
			Addr() uintptr
		})
		if !ok || !m.contains(fault.Addr()) {
			panic(reason)
		}
		err = ErrReadOnly
		if !readable(fault.Addr()) {
			err = ErrFault
		}
	}()
	return touch()
}

func (m *mapping) contains(address uintptr) bool {
	return address >= m.address && address-m.address < m.length
}

var sink atomic.Uint32

func readable(address uintptr) (can bool) {
	defer func() { _ = recover() }()
	sink.Store(uint32(bytesAt(address, 1)[0]))
	return true
}

// Addresses of which slices may still be around are not given to anything else for a while: touching them is a fault, not
// somebody else's memory. Address space is plenty, but has an end.
const (
	mostForbidden      = 1024
	mostForbiddenBytes = 1 << (26 + 15*(^uint(0)>>63)) // 2 TiB of 128; on a 32-bit machine 64 MiB
)

var forbidden struct {
	sync.Mutex
	ranges [][2]uintptr
	bytes  uintptr
}

func forbid(address, length uintptr) {
	nothing, err := mapNothing(length)
	if err == nil {
		err = moveOnto(nothing, length, address)
	}
	if err != nil {
		unmap(address, length)
		return
	}
	forbidden.Lock()
	defer forbidden.Unlock()
	forbidden.ranges = append(forbidden.ranges, [2]uintptr{address, length})
	forbidden.bytes += length
	for len(forbidden.ranges) > mostForbidden || forbidden.bytes > mostForbiddenBytes {
		oldest := forbidden.ranges[0]
		forbidden.ranges = forbidden.ranges[1:]
		forbidden.bytes -= oldest[1]
		unmap(oldest[0], oldest[1])
	}
}
