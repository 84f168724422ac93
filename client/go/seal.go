package shmd

import (
	"context"
	"fmt"
	"syscall"
)

// Seal makes the content immutable for ever, by the kernel. On success the segment is open for reading from then on, at the
// same address. While somebody else has it open for writing, it gives [ErrSegmentBusy] and everything stays as it was.
// Meanwhile writes to it fail. Locks that are held through it end, as by the death of their holder: so unlock before. When ctx
// ends before, the segment may be left open for reading.
func (s *Segment) Seal(ctx context.Context) error {
	done, err := s.turn(ctx)
	if err != nil {
		return s.fail("seal", err)
	}
	defer done()
	// The kernel counts every mapping made from a descriptor for writing as one that writes, so ours goes first.
	wasWritable := s.Access() == Write
	if wasWritable {
		if err := s.Remap(ctx); err != nil { // also finds out whether the connection has ended
			return err
		}
		if err := s.reopen(ctx, Read); err != nil {
			return s.fail("seal", err)
		}
	}
	err = s.change(ctx, "seal", "Seal", s.byID())
	if err != nil && wasWritable && !isContext(err) {
		_ = s.reopen(ctx, Write) // what there is to say is why it could not be sealed
	}
	return err
}

// turn waits until nobody else exchanges the grant or names it.
func (s *Segment) turn(ctx context.Context) (done func(), err error) {
	select {
	case s.changing <- struct{}{}:
		return func() { <-s.changing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reopen takes a new grant in place of the one there is.
func (s *Segment) reopen(ctx context.Context, access Access) error {
	if !s.memory.use() {
		return ErrClosed
	}
	defer s.leave()
	c, err := s.granting(ctx)
	if err != nil {
		return err
	}
	defer c.release()
	got, err := call[grant](ctx, c, encode("Open", open{target: s.byID(), Access: access}), undo(c))
	if err != nil {
		return err
	}
	defer closeAll(got.descriptors)
	descriptor, err := named(*got.body.FileDescriptor, got.descriptors, got.lost)
	if err == nil {
		err = s.memory.replace(descriptor, got.body.Segment, access)
	}
	if _, bad := err.(*ProtocolError); bad {
		c.giveUp()
	}
	if err != nil {
		c.notify(encodeOneway("Detach", detach{*got.body.Attachment}))
		return err
	}
	s.mutex.Lock()
	holder, old := s.conn, s.attachment
	s.conn, s.attachment, s.access = c, *got.body.Attachment, access
	c.hold(s.attachment)
	s.mutex.Unlock()
	s.retireArea(false)
	holder.notify(encodeOneway("Detach", detach{old}))
	holder.letGo(old)
	return nil
}

// named is the descriptor that an answer names. It stays in descriptors.
func named(index int32, descriptors []int, lost bool) (int, error) {
	if int(index) < len(descriptors) {
		return descriptors[index], nil
	}
	if lost {
		return -1, fmt.Errorf("this process may open no more files: close some, or raise its limit: %w", syscall.EMFILE)
	}
	return -1, nonsense("the descriptor that it names did not come with it")
}

// undo takes back what a call has done for which nobody waits any more.
func undo(c *conn) func(grant) {
	return func(g grant) {
		if g.created() {
			c.notify(encodeOneway("Delete", target{ID: g.Segment.ID}))
		}
		c.notify(encodeOneway("Detach", detach{*g.Attachment}))
	}
}
