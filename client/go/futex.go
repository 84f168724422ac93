package shmd

// Futexes in memory that processes share, and sleeping on them until something else ends the sleep.

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	futexWait    = 0
	futexWake    = 1
	futexPrivate = 128
	futex32      = 2 // FUTEX2_SIZE_U32

	clockMonotonic = 1

	// How long somebody waits before the daemon is asked, doubled each time; see protocol/SYNC.md.
	firstPatience, mostPatience = time.Second, 16 * time.Second
	// How soon the end of a context is noticed on kernels before 5.16, and in sandboxes, that have no futex_waitv(2).
	pollInterval = 20 * time.Millisecond
	// For how long who may write sleeps at most where others may only read the area, or might, and those others; see
	// protocol/SYNC.md.
	besideReaders, asReader = 50 * time.Millisecond, time.Second
)

var littleEndian = func() bool {
	number := uint16(1)
	return *(*byte)(unsafe.Pointer(&number)) == 1
}()

func halves(word *atomic.Uint64) (low, high *uint32) {
	both := (*[2]uint32)(unsafe.Pointer(word))
	if littleEndian {
		return &both[0], &both[1]
	}
	return &both[1], &both[0]
}

func lowHalf(word *atomic.Uint64) *uint32 {
	low, _ := halves(word)
	return low
}

func highHalf(word *atomic.Uint64) *uint32 {
	_, high := halves(word)
	return high
}

func futexOf(word *atomic.Uint32) *uint32 { return (*uint32)(unsafe.Pointer(word)) }

// wake wakes so many of those who sleep on the futex, in all processes.
func wake(futex *uint32, count int) {
	syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(futex)), futexWake, uintptr(count), 0, 0, 0)
}

const everybody = 1<<31 - 1

// signal is a futex of this process alone, which is set once: whoever sleeps on it too wakes up. It is not to be on a stack.
type signal struct{ word uint32 }

func (s *signal) isSet() bool { return atomic.LoadUint32(&s.word) != 0 }

func (s *signal) set() {
	atomic.StoreUint32(&s.word, 1)
	syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&s.word)), futexWake|futexPrivate, everybody, 0, 0, 0)
}

// sleeper is a goroutine that waits, mostly asleep on a futex. It takes a thread then, and Go's scheduler runs others.
type sleeper struct {
	ctx       context.Context
	longest   time.Duration // for how long to sleep where somebody may only read the area
	retired   *signal       // ends all sleep
	cancelled *signal       // set when ctx ends; nil before the first sleep, and when it never does
	stopped   chan struct{}

	ask      time.Time // when the daemon is to be asked whether all holders are still there
	patience time.Duration
	refusals int // times in a row that the daemon was not there
}

// due tells whether it is time to ask the daemon. The first call begins to count.
func (s *sleeper) due() bool {
	if s.patience == 0 {
		s.patience = firstPatience
		s.ask = time.Now().Add(s.patience)
	}
	return !time.Now().Before(s.ask)
}

// asked is after it was asked.
func (s *sleeper) asked() {
	if s.patience *= 2; s.patience > mostPatience {
		s.patience = mostPatience
	}
	s.ask = time.Now().Add(s.patience)
}

// stop is the end of a sleeper.
func (s *sleeper) stop() {
	if s.stopped != nil {
		close(s.stopped)
	}
}

func (s *sleeper) watch() {
	if s.cancelled != nil || s.ctx.Done() == nil {
		return
	}
	cancelled, stopped, ctx := new(signal), make(chan struct{}), s.ctx
	s.cancelled, s.stopped = cancelled, stopped
	go func() {
		select {
		case <-ctx.Done():
			cancelled.set()
		case <-stopped:
		}
	}()
}

// waitOn is struct futex_waitv.
type waitOn struct {
	value    uint64
	address  uint64
	flags    uint32
	reserved uint32
}

type wideTime struct{ seconds, nanoseconds int64 }

var noWaitv atomic.Bool

func waitvNumber() uintptr {
	switch runtime.GOARCH {
	case "mips", "mipsle":
		return 4449
	case "mips64", "mips64le":
		return 5449
	}
	return 449
}

// sleep sleeps as long as the futex has this value and nobody wakes it, the context has not ended, nothing is retired, and it is
// not yet due to ask the daemon. The caller looks again at whatever it waits for.
func (s *sleeper) sleep(futex *uint32, value uint32) error {
	if s.due() {
		return nil
	}
	if !noWaitv.Load() {
		switch number := s.sleepOnAll(futex, value); number {
		case 0:
			return nil
		case syscall.ENOSYS, syscall.EPERM: // seccomp filters say the latter
			noWaitv.Store(true)
		default:
			return cannotSleep(number)
		}
	}
	return s.sleepInPieces(futex, value)
}

func cannotSleep(number syscall.Errno) error {
	if number == syscall.EFAULT {
		return ErrFault
	}
	return fmt.Errorf("cannot sleep: %w", number)
}

func (s *sleeper) sleepOnAll(futex *uint32, value uint32) syscall.Errno {
	s.watch()
	all := [3]waitOn{
		{value: uint64(value), address: uint64(uintptr(unsafe.Pointer(futex))), flags: futex32},
		{address: uint64(uintptr(unsafe.Pointer(&s.retired.word))), flags: futex32 | futexPrivate},
	}
	count := uintptr(2)
	if s.cancelled != nil {
		all[2] = waitOn{address: uint64(uintptr(unsafe.Pointer(&s.cancelled.word))), flags: futex32 | futexPrivate}
		count = 3
	}
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	nanoseconds := now.Nano() + int64(s.nap(futex))
	until := wideTime{nanoseconds / int64(time.Second), nanoseconds % int64(time.Second)}
	for {
		_, _, number := syscall.Syscall6(waitvNumber(), uintptr(unsafe.Pointer(&all)), count, 0,
			uintptr(unsafe.Pointer(&until)), clockMonotonic, 0)
		runtime.KeepAlive(s)
		switch number {
		case 0, syscall.EAGAIN, syscall.ETIMEDOUT: // woken; one of them had another value; due
			return 0
		case syscall.EINTR: // as by a profiler's timer
		default:
			return number
		}
	}
}

// nap is for how long to sleep at most: until the daemon is to be asked, or shorter where somebody may only read the area, who can
// still take a wake-up that was another's.
func (s *sleeper) nap(futex *uint32) time.Duration {
	length := time.Until(s.ask)
	area := (*areaLayout)(unsafe.Pointer(uintptr(unsafe.Pointer(futex)) &^ (areaBytes - 1)))
	if area.readOnly.Load() != 0 && length > s.longest {
		return s.longest
	}
	return length
}

func (s *sleeper) sleepInPieces(futex *uint32, value uint32) error {
	piece := syscall.NsecToTimespec(int64(pollInterval))
	for !s.retired.isSet() && s.ctx.Err() == nil && !s.due() {
		_, _, number := syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(futex)), futexWait, uintptr(value),
			uintptr(unsafe.Pointer(&piece)), 0, 0)
		switch number {
		case 0, syscall.EAGAIN:
			return nil
		case syscall.ETIMEDOUT, syscall.EINTR:
		default:
			return cannotSleep(number)
		}
	}
	return nil
}

// fence keeps all accesses before it from being done after those behind it. On arm64 the store is a release, the load an
// acquire that does not overtake it; everywhere else either of them is a full fence.
func fence() {
	var word atomic.Uint32
	word.Store(1)
	word.Load()
}
