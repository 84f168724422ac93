package shmd

// The sync area of a segment: locks, a sequence and a version, beside its bytes. protocol/SYNC.md has it to the byte; the
// names here are those of that page.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	areaBytes   = 4096
	areaFormat  = 1
	slotCount   = 896
	slotLines   = 56
	slotsInLine = 16

	holderBits = uint64(math.MaxUint32)
	waiters    = uint64(1) << 32
	ownerDied  = uint64(1) << 33

	hadReaders = uint32(1) << 31 // in readOnly, beside the count
)

type areaLayout struct {
	format    atomic.Uint32
	readOnly  atomic.Uint32
	_         [56]byte
	mutex     atomic.Uint64
	_         [56]byte
	rwlock    atomic.Uint64
	drain     atomic.Uint32
	highWater atomic.Uint32
	_         [48]byte
	sequence  atomic.Uint64
	_         [56]byte
	version   atomic.Uint64
	_         [248]byte
	slots     [slotCount]atomic.Uint32 // by place; slot finds the one of a number
}

var _ = [1]struct{}{}[unsafe.Sizeof(areaLayout{})-areaBytes]
var _ = [1]struct{}{}[unsafe.Offsetof(areaLayout{}.version)-256]

func (l *areaLayout) slot(number uint32) *atomic.Uint32 {
	return &l.slots[slotsInLine*(number%slotLines)+number/slotLines]
}

// syncArea is the area as one attachment has it mapped. It stays mapped while somebody is in it or holds a lock; once it is
// retired, as by Close, nobody gets in and whoever waits comes out.
type syncArea struct {
	mapping
	words    *areaLayout
	me       uint32 // the attachment
	writable bool

	retired  signal
	retiring chan struct{} // closed with it

	// In each, one goroutine alone sleeps on the futex, lest every one that waits take a thread. Full while there is one.
	lockers, writers, readers, waiting chan struct{}

	slotHint atomic.Uint32 // likely to be free

	mutex   sync.Mutex    // the following two
	changed chan struct{} // closed, and another one made, when told changes
	told    uint64        // a version

	order atomic.Uint32 // see raceRelease
}

// errRetired says that the area has gone: the segment is closed, or has another attachment now.
var errRetired = errors.New("the sync area is not this segment's any more")

type byAttachment struct {
	Attachment uint32 `json:"attachment"`
}

type areaReply struct {
	FileDescriptor *int32 `json:"fileDescriptor"`
}

func (r *areaReply) check() error {
	if r == nil || r.FileDescriptor == nil || *r.FileDescriptor < 0 {
		return nonsense("it names no descriptor")
	}
	return nil
}

func newSyncArea(descriptor int, attachment uint32, access Access) (*syncArea, error) {
	var status syscall.Stat_t
	if err := syscall.Fstat(descriptor, &status); err != nil {
		return nil, nonsense("the sync area cannot be looked at: " + err.Error())
	}
	if status.Mode&syscall.S_IFMT != syscall.S_IFREG || status.Size != areaBytes {
		return nil, nonsense("the sync area is not memory of its size")
	}
	if seals, err := sealsOf(descriptor); err != nil || seals&sealShrink == 0 {
		return nil, nonsense("the sync area may shrink")
	}
	address, err := mapShared(descriptor, areaBytes, access)
	if err != nil {
		return nil, fmt.Errorf("the sync area cannot be mapped: %w", err)
	}
	a := &syncArea{
		mapping: mapping{address: address, length: areaBytes},
		words:   (*areaLayout)(unsafe.Pointer(&bytesAt(address, areaBytes)[0])),
		me:      attachment, writable: access == Write,
		retiring: make(chan struct{}),
		lockers:  make(chan struct{}, 1), writers: make(chan struct{}, 1),
		readers: make(chan struct{}, 1), waiting: make(chan struct{}, 1),
		changed: make(chan struct{}),
	}
	if format := a.words.format.Load(); format != areaFormat {
		unmap(address, areaBytes)
		return nil, fmt.Errorf("the sync area has the format %d, which this version of shmd for Go does not know: %w",
			format, syscall.ENOTSUP)
	}
	return a, nil
}

// area gives the segment's area, which the caller leaves. forWriting: to take a lock in it.
func (s *Segment) area(ctx context.Context, forWriting bool) (*syncArea, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		a := s.sync.Load()
		if a == nil || !a.use() {
			if err := s.openArea(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if forWriting && !a.writable {
			a.leave()
			return nil, ErrReadOnly
		}
		return a, nil
	}
}

// openArea asks for the area, unless there is one by now.
func (s *Segment) openArea(ctx context.Context) error {
	if !atomic64 {
		return fmt.Errorf("Go has no 64-bit atomic operations between processes on this machine: %w", syscall.ENOTSUP)
	}
	done, err := s.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	if s.sync.Load() != nil {
		return nil
	}
	attachment, access := s.Attachment(), s.Access()
	got, err := askOnGrant[areaReply](ctx, s, "OpenSyncArea", byAttachment{attachment})
	if err != nil {
		if s.memory.state.Load()&mappingClosed != 0 { // meanwhile, and its grant with it
			return ErrClosed
		}
		return err
	}
	defer closeAll(got.descriptors)
	descriptor, err := named(*got.body.FileDescriptor, got.descriptors, got.lost)
	if err != nil {
		return err
	}
	a, err := newSyncArea(descriptor, attachment, access)
	if err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.syncEnded {
		unmap(a.address, a.length)
		return ErrClosed
	}
	s.sync.Store(a)
	return nil
}

// retireArea comes before the end of the attachment: what is taken in the area afterwards is given back. last: there will be
// no other one.
func (s *Segment) retireArea(last bool) {
	s.mutex.Lock()
	s.syncEnded = s.syncEnded || last
	a := s.sync.Swap(nil)
	s.mutex.Unlock()
	if a == nil {
		return
	}
	a.mapping.close()
	close(a.retiring)
	a.retired.set()
}

// ending tells why a wait is to end, nil if it is not.
func (a *syncArea) ending(ctx context.Context) error {
	if a.retired.isSet() || a.state.Load()&mappingClosed != 0 {
		return errRetired
	}
	return ctx.Err()
}

// enter waits until nobody else of this process sleeps on the same. The caller ends it with <-gate.
func (a *syncArea) enter(ctx context.Context, gate chan struct{}) error {
	select {
	case gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-a.retiring:
		return errRetired
	}
}

func (a *syncArea) newSleeper(ctx context.Context) *sleeper {
	longest := asReader
	if a.writable {
		longest = besideReaders
	}
	return &sleeper{ctx: ctx, longest: longest, retired: &a.retired}
}

// pause waits for what wakes nobody.
func (a *syncArea) pause(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-a.retiring:
	}
}

// recoverLocks has the daemon look whether all holders are still there, for a waiter that looks again then. So it does not wait
// long for the answer, and one that does not come is no failure: it is asked again later. A daemon that is not there may be
// about to come back; that it has not after some times is what the waiter gets.
func (s *Segment) recoverLocks(a *syncArea, waiter *sleeper) error {
	const mostRefusals = 4
	limited, cancel := context.WithTimeout(waiter.ctx, firstPatience)
	defer cancel()
	_, err := askOnGrant[empty](limited, s, "RecoverLocks", byAttachment{a.me})
	waiter.asked()
	if a.ending(waiter.ctx) != nil || limited.Err() != nil {
		return nil
	}
	var lost *lostError
	if errors.Is(err, ErrUnavailable) || errors.As(err, &lost) {
		if waiter.refusals++; waiter.refusals < mostRefusals {
			return nil
		}
		return err
	}
	waiter.refusals = 0
	return err
}
