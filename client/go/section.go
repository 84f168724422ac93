package shmd

import (
	"context"
	"runtime"
	"time"
)

// WriteSection is a change to the segment that [Segment.Snapshot] sees whole or not at all.
type WriteSection struct{ lock Lock }

// BeginWrite begins a write section: it locks the mutex, as [Segment.Lock] does, and has snapshots wait until End. Keep it short.
//
// [WriteSection.OwnerDied] tells that a holder ended before it unlocked: then repair what is there and call
// [WriteSection.MakeConsistent]; else snapshots fail from End on, as they do already if the dead was in a section.
func (s *Segment) BeginWrite(ctx context.Context) (*WriteSection, error) {
	return new(WriteSection).begin(ctx, s)
}

func (w *WriteSection) begin(ctx context.Context, s *Segment) (*WriteSection, error) {
	if !s.memory.use() { // so that the attachment does not end before the sequence is odd
		return nil, s.fail("begin to write", ErrClosed)
	}
	defer s.leave()
	if _, err := w.lock.take(ctx, s, false); err != nil {
		return nil, err
	}
	sequence := &w.lock.area.words.sequence
	if now := sequence.Load(); now%2 == 0 {
		sequence.CompareAndSwap(now, now+1) // it fails where Seal has just ended the attachment
	}
	fence()
	return w, nil
}

// closeSection makes an odd sequence even. The mutex is ours.
func (a *syncArea) closeSection() {
	if a.words.sequence.Load()%2 == 1 {
		a.words.sequence.Add(1)
	}
}

// OwnerDied is as [Lock.OwnerDied].
func (w *WriteSection) OwnerDied() bool { return w.lock.died }

// MakeConsistent says that the content has been repaired, as far as it is not being changed by this section. [ErrNotHeld] after End.
func (w *WriteSection) MakeConsistent() error {
	return w.lock.makeConsistent(true)
}

// End ends the section and unlocks the mutex. The section stays open for snapshots when a holder died and nobody has made the
// content consistent. [ErrNotHeld] as for [Lock.Unlock].
func (w *WriteSection) End() error {
	s, a := w.lock.segment, w.lock.area
	if w.lock.released.Swap(true) {
		return s.fail("end a write section of", ErrNotHeld)
	}
	defer a.leave()
	if !s.memory.use() { // then the section is one that its holder has left open, and the daemon tells the next one
		return s.fail("end a write section of", ErrClosed)
	}
	defer s.leave()
	m := a.words.mutex.Load()
	if uint32(m) == a.me && m&ownerDied == 0 {
		a.closeSection()
	}
	if !a.unlock(&a.words.mutex, 1) {
		return s.fail("end a write section of", ErrNotHeld)
	}
	return nil
}

// Snapshot copies len(dst) bytes out of the segment, from offset on, as they were between two write sections: of no section it sees a
// part. It takes no lock and writes nothing, so a segment that is open for reading will do. It tries again while a section is
// under way, until ctx ends.
//
// [ErrHalfWritten] when a writer died in a section and nobody has repaired the content yet. [ErrOutOfRange], [ErrFault] and
// [ErrClosed] as for [Segment.WriteAt]; dst is of no use then.
func (s *Segment) Snapshot(ctx context.Context, dst []byte, offset int64) error {
	size := s.size.Load()
	if offset < 0 || offset > size || int64(len(dst)) > size-offset {
		return s.fail("take a snapshot of", ErrOutOfRange)
	}
	return s.snapshot(ctx, func() error {
		copy(dst, s.slice()[offset:])
		return nil
	})
}

// SnapshotView is Snapshot without a copy: it calls f with the segment's memory until no write section was under way meanwhile, and
// gives what f gave then. What f sees may be changing, so f must believe no length and no index that it reads there, and keep
// nothing of an earlier call. Otherwise it is as [Segment.View].
func (s *Segment) SnapshotView(ctx context.Context, f func(memory []byte) error) error {
	var given error
	err := s.snapshot(ctx, func() error {
		s.memory.exposed.Store(true)
		given = f(s.slice())
		return nil
	})
	if err == nil {
		err = given
	}
	return err
}

// snapshot has look called, which neither waits nor writes, until it was so between two write sections.
func (s *Segment) snapshot(ctx context.Context, look func() error) error {
	defer runtime.KeepAlive(s)
	const tried = "take a snapshot of"
	if !s.memory.use() {
		return s.fail(tried, ErrClosed)
	}
	defer s.leave()
	for {
		a, err := s.area(ctx, false)
		if err == nil {
			err = a.snapshot(ctx, s, look)
		}
		if err != errRetired {
			return s.fail(tried, err)
		}
	}
}

func (a *syncArea) snapshot(ctx context.Context, s *Segment, look func() error) error {
	defer a.leave() // look may panic
	words := a.words
	wait := snapshotWait{waiter: a.newSleeper(ctx)}
	for {
		before := words.sequence.Load()
		if before%2 == 0 {
			err := s.memory.guarded(look)
			fence()
			if words.sequence.Load() == before {
				return err
			}
		} else if m := words.mutex.Load(); m&holderBits == 0 && m&ownerDied != 0 && words.sequence.Load() == before {
			return ErrHalfWritten
		}
		if err := a.ending(ctx); err != nil {
			return err
		}
		if err := wait.next(a, s, before); err != nil {
			return err
		}
	}
}

// snapshotWait is between two looks at a sequence, since nobody tells that a section has ended. A section that lasts is worth
// sleeping for; among many short ones a gap is found by looking.
type snapshotWait struct {
	waiter   *sleeper
	sequence uint64
	looks    int // at this sequence
}

func (w *snapshotWait) next(a *syncArea, s *Segment, sequence uint64) error {
	const quick = 100
	if w.sequence != sequence {
		w.sequence, w.looks = sequence, 0
	}
	w.looks++
	if w.looks < quick {
		runtime.Gosched()
		return nil
	}
	if w.waiter.due() {
		return s.recoverLocks(a, w.waiter)
	}
	pause := time.Duration(w.looks-quick) * 10 * time.Microsecond
	if pause > time.Millisecond {
		pause = time.Millisecond
	}
	a.pause(w.waiter.ctx, pause)
	return nil
}
