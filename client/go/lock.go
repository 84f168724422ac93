package shmd

import (
	"context"
	"sync/atomic"
)

// Lock is a segment's mutex that this process holds, of [Segment.Lock], or its readers-writer lock, of [Segment.WriteLock]. One
// goroutine may lock and another one unlock.
type Lock struct {
	segment  *Segment
	area     *syncArea // in use until Unlock
	word     *atomic.Uint64
	died     bool
	released atomic.Bool
}

// Lock locks the segment's mutex, which is one for all processes that have the segment open for writing. It waits until the lock
// is free or ctx ends. The memory is not tied to the lock: what it protects is an agreement of those who use the segment.
//
// When the last holder ended without unlocking, by a crash for instance, this is no failure: the lock is held, and
// [Lock.OwnerDied] tells that what it protects may be half changed.
//
// A Segment is one holder: a goroutine that locks twice waits for itself. Locking takes two atomic operations and no call as long
// as nobody else holds it. The first use of a segment's locks asks the daemon for them, once: 4096 bytes on the account of who
// created it, so [ErrQuotaExceeded] is possible then. Who waits for longer than a second asks the daemon now and then whether
// the holder is still there; when the segment's grant has ended with the daemon, that gives [ErrDisconnected].
//
// [ErrReadOnly] when the segment is open for reading, [ErrClosed] when it is closed, also meanwhile.
func (s *Segment) Lock(ctx context.Context) (*Lock, error) {
	return new(Lock).take(ctx, s, false) // inlined, so that the lock may be on the caller's stack
}

// TryLock is Lock without waiting: [ErrLocked] when somebody holds the lock, this process too. ctx is for the first use alone,
// which asks the daemon.
func (s *Segment) TryLock(ctx context.Context) (*Lock, error) {
	return new(Lock).take(ctx, s, true)
}

func (l *Lock) take(ctx context.Context, s *Segment, try bool) (*Lock, error) {
	for {
		a, err := s.area(ctx, true)
		if err == nil {
			l.segment, l.area, l.word = s, a, &a.words.mutex
			if l.died, err = a.lock(ctx, s, l.word, a.lockers, try); err == nil {
				return l, nil
			}
			a.leave()
		}
		if err != errRetired {
			return nil, s.fail("lock", err)
		}
	}
}

// OwnerDied tells that a holder ended before it unlocked, and nobody has called what the lock protects consistent since: it may
// be half changed.
func (l *Lock) OwnerDied() bool { return l.died }

// MakeConsistent says that what the lock protects has been repaired: the next holder is not told of the death any more. If a
// write section was left open by it, snapshots can be taken again. Without it every next holder is told. It
// does nothing when no holder has died. [ErrNotHeld] after Unlock.
func (l *Lock) MakeConsistent() error {
	return l.makeConsistent(false)
}

func (l *Lock) makeConsistent(inSection bool) error {
	s := l.segment
	err := ErrClosed
	if s.memory.use() {
		defer s.leave()
		err = ErrNotHeld
		if !l.released.Load() && l.area.makeConsistent(l.word) {
			if l.word == &l.area.words.mutex && !inSection {
				l.area.closeSection()
			}
			return nil
		}
	}
	return s.fail("make consistent what is protected in", err)
}

// Unlock gives the lock back and wakes who waits for it. [ErrNotHeld] when it was given back before, or has been taken from this
// process: by Close or Seal, by an administrator who disconnected it, or because the grant ended in another way.
func (l *Lock) Unlock() error {
	if l.released.Swap(true) {
		return l.segment.fail("unlock", ErrNotHeld)
	}
	a := l.area
	sleepers := 1
	if l.word == &a.words.rwlock {
		sleepers = everybody
	}
	held := a.unlock(l.word, sleepers)
	a.leave()
	if !held {
		return l.segment.fail("unlock", ErrNotHeld)
	}
	return nil
}

// lock locks a word. Of those of this process that wait for it, the one that is in the gate sleeps.
func (a *syncArea) lock(ctx context.Context, s *Segment, word *atomic.Uint64, gate chan struct{}, try bool) (died bool, err error) {
	if !word.CompareAndSwap(0, uint64(a.me)) {
		if died, err = a.lockSlowly(ctx, s, word, gate, try); err != nil {
			return false, err
		}
	}
	a.raceAcquire()
	// Locked after the attachment's end, nobody would ever release it for us. If it ends after this, the daemon does.
	if a.state.Load()&mappingClosed != 0 {
		a.unlock(word, everybody)
		return false, errRetired
	}
	return died, nil
}

func (a *syncArea) lockSlowly(ctx context.Context, s *Segment, word *atomic.Uint64, gate chan struct{}, try bool) (died bool, err error) {
	if try {
		for w := word.Load(); w&holderBits == 0; w = word.Load() {
			if word.CompareAndSwap(w, uint64(a.me)|w&ownerDied) {
				return w&ownerDied != 0, nil
			}
		}
		return false, ErrLocked
	}
	if err := a.enter(ctx, gate); err != nil {
		return false, err
	}
	defer func() { <-gate }()
	waiter := a.newSleeper(ctx)
	defer waiter.stop()
	waited := uint64(0)
	for {
		w := word.Load()
		if w&holderBits == 0 {
			if word.CompareAndSwap(w, uint64(a.me)|w&ownerDied|waited) {
				return w&ownerDied != 0, nil
			}
			continue
		}
		if err := a.sleepOnWord(s, waiter, word, w); err != nil {
			return false, err
		}
		waited = waiters
	}
}

// sleepOnWord sleeps until something has happened to a word that was found locked, w. An error is why the caller is to give up,
// which it may do only here: a wake-up that it may have got in the place of somebody else is then made up for by the next
// unlock.
func (a *syncArea) sleepOnWord(s *Segment, waiter *sleeper, word *atomic.Uint64, w uint64) error {
	if w&waiters == 0 {
		if !word.CompareAndSwap(w, w|waiters) {
			return nil
		}
		w |= waiters
	}
	if err := a.ending(waiter.ctx); err != nil {
		return err
	}
	if waiter.due() {
		return s.recoverLocks(a, waiter)
	}
	return waiter.sleep(highHalf(word), uint32(w>>32))
}

// unlock gives a word back and wakes so many. False when it is not ours.
func (a *syncArea) unlock(word *atomic.Uint64, sleepers int) bool {
	a.raceRelease()
	for {
		w := word.Load()
		if uint32(w) != a.me {
			return false
		}
		if word.CompareAndSwap(w, w&ownerDied) {
			if w&waiters != 0 {
				wake(highHalf(word), sleepers)
			}
			return true
		}
	}
}

// makeConsistent clears the note of a death. False when the word is not ours.
func (a *syncArea) makeConsistent(word *atomic.Uint64) bool {
	for {
		w := word.Load()
		if uint32(w) != a.me {
			return false
		}
		if w&ownerDied == 0 || word.CompareAndSwap(w, w&^ownerDied) {
			return true
		}
	}
}
