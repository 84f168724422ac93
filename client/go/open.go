package shmd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// WaitForever waits for a key as long as the context lets it.
const WaitForever time.Duration = math.MaxInt64

// How often a wait for a key outlives the end of its connection, as a restart of the daemon is one. A bound, lest a daemon
// that hangs up on every such call be called for ever.
const mostLostWaits = 16

// OpenOptions are the options of Open. The zero value has the defaults.
type OpenOptions struct {
	// Wait is how long to wait for the key to appear; then the error is [ErrNoSuchSegment]. The wait has a connection of its
	// own, and restarts of the daemon do not end it as long as its socket stays. Only with a key. Default: not at all.
	Wait time.Duration
	// Sealed opens only what nobody can write any more, which needs no lock and no second look: else [ErrNotSealed].
	Sealed bool
}

// Open opens an existing segment and maps it. options may be nil.
func (cl *Client) Open(ctx context.Context, ref Ref, access Access, options *OpenOptions) (*Segment, error) {
	if options == nil {
		options = &OpenOptions{}
	}
	tried := opening(ref, access)
	to, err := ref.target()
	if err == nil && options.Wait > 0 && to.Key == nil {
		err = &argumentError{"only a key can be waited for"}
	}
	if err != nil {
		return nil, inContext(err, tried)
	}
	if options.Wait > 0 {
		return cl.openWait(ctx, to, access, options, tried)
	}
	return cl.open(ctx, to, access, options.Sealed, tried)
}

func opening(ref Ref, access Access) func() string {
	return func() string {
		if access == Write {
			return "open " + ref.String() + " for writing"
		}
		return "open " + ref.String() + " for reading"
	}
}

func (cl *Client) open(ctx context.Context, to target, access Access, sealed bool, tried func() string) (*Segment, error) {
	message := encode("Open", open{target: to, Access: access, Sealed: sealed})
	return carryOut(ctx, cl, true, tried, func(c *conn) (*Segment, error) {
		return granted(ctx, c, message, access)
	})
}

// granted makes a call that answers with a grant, and maps that.
func granted(ctx context.Context, c *conn, message []byte, access Access) (*Segment, error) {
	got, err := call(ctx, c, message, undo(c))
	if err != nil {
		return nil, err
	}
	defer closeAll(got.descriptors)
	return mapOne(c, &got.body, got.descriptors, got.lost, access)
}

// mapOne makes a segment of a grant, or takes the grant back.
func mapOne(c *conn, g *grant, descriptors []int, lost bool, access Access) (*Segment, error) {
	descriptor, err := named(*g.FileDescriptor, descriptors, lost)
	var memory *mapping
	if err == nil {
		memory, err = newMapping(descriptor, g.Segment, access)
	}
	if err == nil {
		return newSegment(c, g, memory, access), nil
	}
	if _, bad := err.(*ProtocolError); bad {
		c.giveUp()
	} else {
		undo(c)(*g)
	}
	return nil, err
}

// openWait opens the segment over the client's connection, and has the waiting alone done by another one.
func (cl *Client) openWait(ctx context.Context, to target, access Access, options *OpenOptions,
	tried func() string) (*Segment, error) {
	begin := time.Now()
	var waited *conn // keeps the segment that has come until it is open
	defer func() {
		if waited != nil {
			waited.release()
		}
	}()
	for lostWaits := 0; ; {
		segment, err := cl.open(ctx, to, access, options.Sealed, tried)
		left := options.Wait - time.Since(begin)
		if options.Wait == WaitForever {
			left = WaitForever
		}
		if !errors.Is(err, ErrNoSuchSegment) || left <= 0 {
			return segment, err
		}
		c, err := cl.waitFor(ctx, to, access, left)
		var lost *lostError
		switch {
		case err == nil:
			if waited != nil {
				waited.release()
			}
			waited = c
		case !errors.As(err, &lost):
			return nil, inContext(err, tried)
		default:
			if lostWaits++; lostWaits > mostLostWaits {
				return nil, inContext(err, tried)
			}
		}
	}
}

// waitFor waits on a connection of its own, which holds the grant until the caller releases it. When ctx ends, it is closed.
func (cl *Client) waitFor(ctx context.Context, to target, access Access, wait time.Duration) (*conn, error) {
	usec := (wait + time.Microsecond - 1).Microseconds()
	if wait == WaitForever || usec > maxInteger {
		usec = maxInteger
	}
	c, err := dial(ctx, cl.path)
	if err != nil {
		return nil, err
	}
	done := closeWhen(ctx, c)
	got, err := call[grant](context.Background(), c, encode("Open", open{target: to, Access: access, WaitUsec: usec}), nil)
	done()
	closeAll(got.descriptors)
	if ctx.Err() != nil && err != nil {
		err = ctx.Err()
	}
	if err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

// closeWhen ends a connection when ctx ends, until the function that it gives is called.
func closeWhen(ctx context.Context, c *conn) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	stopped := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
			c.giveUp()
		case <-stopped:
		}
	}()
	return func() { close(stopped); <-ended }
}

// Opened is what became of one of many.
type Opened struct {
	Segment *Segment // nil when there is an error
	Err     error    // as Open would have given it
}

// OpenMany opens many segments, 250 in one trip to the daemon, and tells of each what became of it, in the same order. The
// error is what is wrong with all of them; then none is open.
func (cl *Client) OpenMany(ctx context.Context, refs []Ref, access Access) ([]Opened, error) {
	all := make([]Opened, 0, len(refs))
	for len(all) < len(refs) {
		some := refs[len(all):]
		if len(some) > maxBatch {
			some = some[:maxBatch]
		}
		opened, err := cl.openSome(ctx, some, access)
		if err != nil {
			for _, each := range all {
				if each.Segment != nil {
					each.Segment.Close()
				}
			}
			return nil, err
		}
		all = append(all, opened...)
	}
	return all, nil
}

func (cl *Client) openSome(ctx context.Context, refs []Ref, access Access) ([]Opened, error) {
	tried := func() string { return fmt.Sprintf("open %d segments", len(refs)) }
	request := openMany{make([]target, len(refs)), access}
	for i, ref := range refs {
		to, err := ref.target()
		if err != nil {
			return nil, inContext(err, opening(ref, access))
		}
		request.Targets[i] = to
	}
	message := encode("OpenMany", request)
	return carryOut(ctx, cl, true, tried, func(c *conn) ([]Opened, error) {
		got, err := call(ctx, c, message, func(unwanted openResults) {
			for _, each := range unwanted.Results {
				if each.Grant != nil {
					undo(c)(*each.Grant)
				}
			}
		})
		if err != nil {
			return nil, err
		}
		defer closeAll(got.descriptors)
		if len(got.body.Results) != len(refs) {
			c.giveUp()
			return nil, nonsense("it has not as many results as it was asked for")
		}
		opened := make([]Opened, len(refs))
		for i, each := range got.body.Results {
			if each.Error != nil {
				opened[i].Err = decodeError(*each.Error, each.Parameters)
			} else {
				opened[i].Segment, opened[i].Err = mapOne(c, each.Grant, got.descriptors, got.lost, access)
			}
			opened[i].Err = inContext(opened[i].Err, opening(refs[i], access))
		}
		return opened, nil
	})
}
