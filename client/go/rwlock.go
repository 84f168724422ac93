package shmd

import (
	"context"
	"sync/atomic"
	"time"
)

// ReadLock is a segment's readers-writer lock that this process holds for reading.
type ReadLock struct {
	segment  *Segment
	area     *syncArea
	slot     uint32
	died     bool
	released atomic.Bool
}

// WriteLock locks the segment's readers-writer lock for writing: nobody else holds it then, neither for writing nor for reading. It
// is another lock than the mutex of [Segment.Lock]. A writer that waits keeps new readers out. For the rest it is as
// Lock.
func (s *Segment) WriteLock(ctx context.Context) (*Lock, error) {
	return new(Lock).takeForWriting(ctx, s, false)
}

// TryWriteLock is WriteLock without waiting: [ErrLocked] when somebody holds the lock. ctx is for the first use alone.
func (s *Segment) TryWriteLock(ctx context.Context) (*Lock, error) {
	return new(Lock).takeForWriting(ctx, s, true)
}

// ReadLock locks the segment's readers-writer lock for reading, together with any number of other readers, while no writer holds it
// or waits for it. So a goroutine that has it and asks for it again may wait for ever. It takes a segment that is open for
// writing, since a reader holds up those who write: else [ErrReadOnly], and [Segment.Snapshot] is there for that. A reader that dies
// holds up nobody.
func (s *Segment) ReadLock(ctx context.Context) (*ReadLock, error) {
	return new(ReadLock).take(ctx, s, false)
}

// TryReadLock is ReadLock without waiting: [ErrLocked] when a writer holds the lock or waits for it, or when 896 readers hold it
// already. ctx is for the first use alone.
func (s *Segment) TryReadLock(ctx context.Context) (*ReadLock, error) {
	return new(ReadLock).take(ctx, s, true)
}

// OwnerDied tells that a writer ended before it unlocked, and no writer has called what the lock protects consistent since: it
// may be half changed. To repair it, take the lock for writing.
func (l *ReadLock) OwnerDied() bool { return l.died }

// Unlock gives the lock back. [ErrNotHeld] as for [Lock.Unlock].
func (l *ReadLock) Unlock() error {
	if l.released.Swap(true) {
		return l.segment.fail("unlock", ErrNotHeld)
	}
	a := l.area
	held := a.leaveSlot(l.slot)
	a.leave()
	if !held {
		return l.segment.fail("unlock", ErrNotHeld)
	}
	return nil
}

func (l *Lock) takeForWriting(ctx context.Context, s *Segment, try bool) (*Lock, error) {
	for {
		a, err := s.area(ctx, true)
		if err == nil {
			l.segment, l.area, l.word = s, a, &a.words.rwlock
			if l.died, err = a.lock(ctx, s, l.word, a.writers, try); err == nil {
				if err = a.awaitReaders(ctx, s, try); err == nil {
					return l, nil
				}
				a.unlock(l.word, everybody)
			}
			a.leave()
		}
		if err != errRetired {
			return nil, s.fail("take the write lock of", err)
		}
	}
}

// awaitReaders waits until there is no reader. New ones do not come, since the word is locked.
func (a *syncArea) awaitReaders(ctx context.Context, s *Segment, try bool) error {
	first := a.readerFrom(0)
	if first == slotCount {
		return nil
	}
	if try {
		return ErrLocked
	}
	waiter := a.newSleeper(ctx)
	defer waiter.stop()
	for {
		drained := a.words.drain.Load()
		if first = a.readerFrom(first); first == slotCount { // slots that were free stay so
			return nil
		}
		err := a.ending(ctx)
		if err == nil && waiter.due() {
			err = s.recoverLocks(a, waiter)
		} else if err == nil {
			err = waiter.sleep(futexOf(&a.words.drain), drained)
		}
		if err != nil {
			return err
		}
	}
}

// readerFrom is the first slot from this number on that is taken, slotCount when there is none.
func (a *syncArea) readerFrom(number uint32) uint32 {
	end := a.words.highWater.Load()
	if end > slotCount { // somebody has written there
		end = slotCount
	}
	for ; number < end; number++ {
		if a.words.slot(number).Load() != 0 {
			return number
		}
	}
	return slotCount
}

func (l *ReadLock) take(ctx context.Context, s *Segment, try bool) (*ReadLock, error) {
	for {
		a, err := s.area(ctx, true)
		if err == nil {
			l.segment, l.area = s, a
			if l.slot, l.died, err = a.readLock(ctx, s, try); err == nil {
				return l, nil
			}
			a.leave()
		}
		if err != errRetired {
			return nil, s.fail("take the read lock of", err)
		}
	}
}

func (a *syncArea) readLock(ctx context.Context, s *Segment, try bool) (slot uint32, died bool, err error) {
	slot, died, err = a.tryReadLock()
	if err == ErrLocked && !try {
		slot, died, err = a.readLockSlowly(ctx, s)
	}
	if err != nil {
		return 0, false, err
	}
	a.raceAcquire()
	if a.state.Load()&mappingClosed != 0 { // as in lock
		a.leaveSlot(slot)
		return 0, false, errRetired
	}
	return slot, died, nil
}

// tryReadLock gives ErrLocked where the lock is a writer's, and where all slots are taken.
func (a *syncArea) tryReadLock() (slot uint32, died bool, err error) {
	if a.words.rwlock.Load()&holderBits != 0 {
		return 0, false, ErrLocked
	}
	return a.claimSlot()
}

// claimSlot takes a slot, unless a writer has come meanwhile: it may have looked at the slots before.
func (a *syncArea) claimSlot() (slot uint32, died bool, err error) {
	slot, free := a.takeSlot()
	if !free {
		return 0, false, ErrLocked
	}
	w := a.words.rwlock.Load()
	if w&holderBits != 0 {
		a.leaveSlot(slot)
		return 0, false, ErrLocked
	}
	return slot, w&ownerDied != 0, nil
}

func (a *syncArea) readLockSlowly(ctx context.Context, s *Segment) (slot uint32, died bool, err error) {
	if err := a.enter(ctx, a.readers); err != nil {
		return 0, false, err
	}
	defer func() { <-a.readers }()
	waiter := a.newSleeper(ctx)
	defer waiter.stop()
	for {
		slot, died, err = a.tryReadLock()
		if err != ErrLocked {
			return slot, died, err
		}
		if w := a.words.rwlock.Load(); w&holderBits != 0 {
			err = a.sleepOnWord(s, waiter, &a.words.rwlock, w)
		} else {
			err = a.awaitSlot(s, waiter)
		}
		if err != nil {
			return 0, false, err
		}
	}
}

// awaitSlot waits a moment, since nobody tells that a slot is free.
func (a *syncArea) awaitSlot(s *Segment, waiter *sleeper) error {
	if err := a.ending(waiter.ctx); err != nil {
		return err
	}
	if waiter.due() {
		return s.recoverLocks(a, waiter)
	}
	a.pause(waiter.ctx, time.Millisecond)
	return nil
}

// takeSlot notes a reader. False when no slot is free.
func (a *syncArea) takeSlot() (number uint32, free bool) {
	number = a.slotHint.Load()
	if !a.words.slot(number).CompareAndSwap(0, a.me) {
		for number = 0; ; number++ {
			if number == slotCount {
				return 0, false
			}
			if slot := a.words.slot(number); slot.Load() == 0 && slot.CompareAndSwap(0, a.me) {
				break
			}
		}
		a.slotHint.Store(number)
	}
	for {
		used := a.words.highWater.Load()
		if used > number || a.words.highWater.CompareAndSwap(used, number+1) {
			return number, true
		}
	}
}

// leaveSlot is the end of a reader. False when the slot is not ours.
func (a *syncArea) leaveSlot(number uint32) bool {
	a.raceRelease()
	if !a.words.slot(number).CompareAndSwap(a.me, 0) {
		return false
	}
	if a.words.rwlock.Load()&holderBits != 0 {
		a.words.drain.Add(1)
		wake(futexOf(&a.words.drain), everybody)
	}
	return true
}
