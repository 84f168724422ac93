package shmd

import (
	"context"
	"errors"
	"os"
	"time"
)

// Event tells what happened to a segment.
type Event struct {
	Kind EventKind
	// Segment is as it was then; one whose key has just gone still shows it. nil for EventReady and EventLost.
	Segment *Info
}

// Watch tells what happens to segments. One goroutine at a time reads from it; any may close it.
type Watch struct {
	conn    *conn
	reading chan struct{}
	closing chan struct{} // closed by Close
	first   *Event
}

// Watch tells what happens to the live segments that this user may describe and whose key begins with prefix: first
// EventPresent for every segment that is there, then EventReady, then everything as it happens. It has a connection of its own,
// which counts as one. ctx is for the beginning alone.
func (cl *Client) Watch(ctx context.Context, prefix string) (*Watch, error) {
	says := func() string { return "watch segments" }
	cl.mutex.Lock()
	closed := cl.closed
	cl.mutex.Unlock()
	if closed {
		return nil, inContext(ErrClosed, says)
	}
	c, err := dial(ctx, cl.path)
	if err != nil {
		return nil, inContext(err, says)
	}
	w := &Watch{conn: c, reading: make(chan struct{}, 1), closing: make(chan struct{})}
	if err = c.sendCall(encodeMore("Watch", prefixed{prefix})); err == nil {
		var first Event
		first, err = w.receive(ctx) // which may be a refusal
		w.first = &first
	}
	if err != nil {
		c.giveUp()
		return nil, inContext(err, says)
	}
	return w, nil
}

// Next waits for the next event. When ctx ends before, it gives ctx.Err() and loses nothing: call it again. After any other
// error the watch is over: [ErrDisconnected] when the daemon has gone, [ErrClosed] after Close. To go on, watch anew, which
// tells first what is there then.
func (w *Watch) Next(ctx context.Context) (Event, error) {
	says := func() string { return "watch segments" }
	select {
	case w.reading <- struct{}{}:
		defer func() { <-w.reading }()
	case <-ctx.Done():
		return Event{}, inContext(ctx.Err(), says)
	}
	if w.isClosed() {
		return Event{}, inContext(ErrClosed, says)
	}
	if first := w.first; first != nil {
		w.first = nil
		return *first, nil
	}
	event, err := w.receive(ctx)
	return event, inContext(err, says)
}

func (w *Watch) isClosed() bool {
	select {
	case <-w.closing:
		return true
	default:
		return false
	}
}

func (w *Watch) receive(ctx context.Context) (Event, error) {
	if err := ctx.Err(); err != nil {
		return Event{}, err
	}
	if w.conn.ended.Load() {
		return Event{}, &lostError{}
	}
	stop := wakeWhen(ctx, w.conn)
	message, err := w.conn.receive()
	stop()
	closeAll(w.conn.reader.take())
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return Event{}, ctx.Err()
	}
	var event Event
	if err == nil {
		event, err = decodeEvent(message)
	}
	w.conn.proven = true
	if err != nil {
		w.conn.giveUp()
		var lost *lostError
		switch {
		case w.isClosed():
			err = ErrClosed
		case errors.As(err, &lost):
			err = ErrDisconnected
		}
	}
	return event, err
}

func decodeEvent(message []byte) (Event, error) {
	body, _, err := decodeReply[watched](message)
	if err != nil {
		return Event{}, err
	}
	event := Event{Kind: *body.Event}
	if body.Segment != nil {
		event.Segment = body.Segment.info()
	}
	return event, nil
}

// wakeWhen ends a read on the connection when ctx ends, until the function that it gives is called. Nothing is lost by that.
func wakeWhen(ctx context.Context, c *conn) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	stopped := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
			c.socket.SetReadDeadline(time.Unix(1, 0))
		case <-stopped:
		}
	}()
	return func() {
		close(stopped)
		<-ended
		c.socket.SetReadDeadline(time.Time{})
	}
}

// Events iterates over the events until ctx ends, which ends the iteration without an error. From Go 1.23 on:
//
//	for event, err := range watch.Events(ctx) { ... }
//
// An error is the last that it gives. Leaving the loop does not close the watch.
func (w *Watch) Events(ctx context.Context) func(yield func(Event, error) bool) {
	return func(yield func(Event, error) bool) {
		for {
			event, err := w.Next(ctx)
			if err != nil {
				if ctx.Err() == nil || !isContext(err) {
					yield(Event{}, err)
				}
				return
			}
			if !yield(event, nil) {
				return
			}
		}
	}
}

// Close ends the watch; a Next that waits gives [ErrClosed]. Closing twice gives [ErrClosed].
func (w *Watch) Close() error {
	w.conn.mutex.Lock()
	defer w.conn.mutex.Unlock()
	if w.isClosed() {
		return inContext(ErrClosed, func() string { return "close the watch" })
	}
	close(w.closing)
	w.conn.giveUp()
	return nil
}
