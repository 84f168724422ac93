package shmd

import (
	"context"
	"runtime"
)

// Version is how often somebody has called Notify. ctx is for the first use of the segment's locks and its version alone, which asks the
// daemon.
func (s *Segment) Version(ctx context.Context) (uint64, error) {
	a, err := s.area(ctx, false)
	if err != nil {
		return 0, s.fail("tell the version of", err)
	}
	defer a.leave()
	return a.words.version.Load() / 2, nil
}

// Notify adds 1 to the version and wakes all who wait for it, in all processes. It gives the new version, and is no call as
// long as nobody waits. What was written before, whoever is woken sees. [ErrReadOnly] when the segment is open for reading.
func (s *Segment) Notify(ctx context.Context) (uint64, error) {
	a, err := s.area(ctx, true)
	if err != nil {
		return 0, s.fail("notify those who wait for", err)
	}
	defer a.leave()
	version := &a.words.version
	a.raceRelease()
	for {
		w := version.Load()
		next := (w/2 + 1) * 2
		if version.CompareAndSwap(w, next) {
			if w%2 == 1 || a.words.readOnly.Load()&^hadReaders != 0 {
				wake(lowHalf(version), everybody)
			}
			return next / 2, nil
		}
	}
}

// Wait waits until the version is higher than after, and gives it. Notifications that come close together may be one. A segment that is
// open for reading will do. To miss nothing, ask for the version, then look at the memory, then wait with that version as after.
//
// Goroutines of one segment that wait take one thread together. Errors are as for [Segment.Lock].
func (s *Segment) Wait(ctx context.Context, after uint64) (uint64, error) {
	defer runtime.KeepAlive(s)
	for {
		a, err := s.area(ctx, false)
		version := uint64(0)
		if err == nil {
			version, err = a.wait(ctx, s, after)
			a.raceAcquire()
			a.leave()
		}
		if err != errRetired {
			return version, s.fail("wait for", err)
		}
	}
}

func (a *syncArea) wait(ctx context.Context, s *Segment, after uint64) (uint64, error) {
	word := &a.words.version
	if now := word.Load() / 2; now > after {
		return now, nil
	}
	waiter := a.newSleeper(ctx)
	defer waiter.stop()
	for {
		changed := a.nextChange() // before the look at the version
		if now := word.Load() / 2; now > after {
			return now, nil
		}
		if err := a.ending(ctx); err != nil {
			return 0, err
		}
		select {
		case a.waiting <- struct{}{}:
			err := a.sleepOnVersion(s, waiter, after)
			<-a.waiting
			if err != nil {
				return 0, err
			}
		case <-changed:
		case <-ctx.Done():
		case <-a.retiring:
		}
	}
}

// sleepOnVersion sleeps until the version changes, for all goroutines that wait for it. It tells them also of a change that
// came before, when nobody slept.
func (a *syncArea) sleepOnVersion(s *Segment, waiter *sleeper, after uint64) error {
	word := &a.words.version
	w := word.Load()
	before := w / 2
	a.tell(before)
	if before > after {
		return nil
	}
	if w%2 == 0 && a.writable {
		if !word.CompareAndSwap(w, w+1) {
			return nil
		}
		w++
	}
	err := waiter.sleep(lowHalf(word), uint32(w))
	now := word.Load() / 2
	a.tell(now)
	if err == nil && now == before && waiter.due() {
		return s.recoverLocks(a, waiter)
	}
	return err
}

func (a *syncArea) nextChange() <-chan struct{} {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.changed
}

func (a *syncArea) tell(version uint64) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if version != a.told {
		a.told = version
		close(a.changed)
		a.changed = make(chan struct{})
	}
}

// Notifications are versions as they come.
type Notifications struct {
	// C has each new version, and only the newest one when several come before it is received. It is closed when there are no
	// more: see Err.
	C <-chan uint64

	ended chan struct{}
	err   error
}

// Notifications sends versions higher than after to a channel, for use in a select. It goes on until ctx ends or the segment is closed.
func (s *Segment) Notifications(ctx context.Context, after uint64) *Notifications {
	c := make(chan uint64, 1)
	n := &Notifications{C: c, ended: make(chan struct{})}
	go func() {
		defer close(c)
		defer close(n.ended)
		for {
			version, err := s.Wait(ctx, after)
			if err != nil {
				n.err = err
				return
			}
			after = version
			select {
			case <-c:
			default:
			}
			c <- version // there is room, since nobody else sends
		}
	}()
	return n
}

// Err tells why C was closed: ctx.Err() or [ErrClosed] in its error, or one of those of [Segment.Wait]. nil before.
func (n *Notifications) Err() error {
	select {
	case <-n.ended:
		return n.err
	default:
		return nil
	}
}
