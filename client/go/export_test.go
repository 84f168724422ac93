package shmd

import "syscall"

// What the tests of the locks look at inside the sync area.

// Words of a sync area that the segment has used.
type Words struct{ area *syncArea }

func (s *Segment) Words() Words { return Words{s.sync.Load()} }

const (
	HolderBits = holderBits
	Waiters    = waiters
	OwnerDied  = ownerDied
)

func (w Words) Mutex() uint64        { return w.area.words.mutex.Load() }
func (w Words) SetMutex(word uint64) { w.area.words.mutex.Store(word) }
func (w Words) Rwlock() uint64       { return w.area.words.rwlock.Load() }
func (w Words) Sequence() uint64     { return w.area.words.sequence.Load() }
func (w Words) Version() uint64      { return w.area.words.version.Load() }
func (w Words) Format() uint32       { return w.area.words.format.Load() }
func (w Words) SetFormat(n uint32)   { w.area.words.format.Store(n) }

func (w Words) SetSlot(number, holder uint32) {
	w.area.words.slot(number).Store(holder)
	if used := w.area.words.highWater.Load(); used <= number {
		w.area.words.highWater.Store(number + 1)
	}
}

// Slots are the numbers of those that are taken.
func (w Words) Slots() (taken []uint32) {
	for i := uint32(0); i < slotCount; i++ {
		if w.area.words.slot(i).Load() != 0 {
			taken = append(taken, i)
		}
	}
	return taken
}

// Mapped tells whether the memory of the area is still there.
func (w Words) Mapped() bool { return w.area.state.Load() != mappingClosed }

// Waiting tells how many goroutines of this process sleep on the version: one or none.
func (w Words) Waiting() int { return len(w.area.waiting) }

// WithoutWaitv runs f as on a kernel that has no futex_waitv(2).
func WithoutWaitv(f func()) {
	before := noWaitv.Swap(true)
	defer noWaitv.Store(before)
	f()
}

// WaitvNumber is that of futex_waitv(2), -1 when there is none.
func WaitvNumber() int {
	if _, _, number := syscall.Syscall6(waitvNumber(), 0, 0, 0, 0, 0, 0); number == syscall.ENOSYS || number == syscall.EPERM {
		return -1
	}
	return int(waitvNumber())
}

// RaceDetector tells whether it looks on: then a lock allocates.
func (s *Segment) RaceDetector() bool {
	before := s.sync.Load().order.Load()
	s.sync.Load().raceRelease()
	return s.sync.Load().order.Load() != before
}
