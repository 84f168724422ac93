package shmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// Client speaks with one daemon. All methods may be called by many goroutines at once: their calls take turns on one connection,
// but for an Open that waits and for Watch, which have one of their own.
//
// A client connects anew by itself: after the daemon was restarted, and after a change of the effective user or group, as
// that user. Where a service manager keeps the segments, those that are open go on as if nothing had happened. A call that is
// under way then is made again, once, if the daemon did not get it or if it opens, describes or lists; any other gives
// [ErrDisconnected], since it may or may not have been carried out.
//
// When its context ends, a method returns at once with ctx.Err() in its error. A call cannot be taken back: it is carried
// out or not; what Create or Open would have given is undone as soon as the daemon has answered.
type Client struct {
	path string

	mutex   sync.Mutex
	current *conn // nil before the first call and after Close
	closed  bool
}

// Dial connects to the daemon at this path. An empty path looks for it: $SHMD_SOCKET, the system instance at
// /run/shmd/io.shmd.Segments if that is there, the user instance below $XDG_RUNTIME_DIR or /tmp. The same path serves whenever
// the client connects anew. [ErrUnavailable] when no daemon answers.
func Dial(ctx context.Context, path string) (*Client, error) {
	return dialClient(ctx, path, segmentsSocket)
}

// DialControl connects to the control socket, for administrators: [Client.Call] and [Client.CallMany] are what it is good for.
// An empty path looks for it: $SHMD_CONTROL_SOCKET, the one that belongs to $SHMD_SOCKET, and so on.
func DialControl(ctx context.Context, path string) (*Client, error) {
	return dialClient(ctx, path, controlSocket)
}

func dialClient(ctx context.Context, path, name string) (*Client, error) {
	if path == "" {
		found, err := findSocket(name)
		if err != nil {
			return nil, fmt.Errorf("shmd: %w", err)
		}
		path = found
	}
	client := &Client{path: path}
	c, err := client.connection(ctx)
	if err != nil {
		return nil, fmt.Errorf("shmd: %w", err)
	}
	c.release()
	return client, nil
}

// Path is the daemon's socket.
func (cl *Client) Path() string { return cl.path }

// Close ends the client. Its open segments stay open, and the connection with them until the last one is closed. Closing
// twice gives [ErrClosed].
func (cl *Client) Close() error {
	cl.mutex.Lock()
	c, closed := cl.current, cl.closed
	cl.current, cl.closed = nil, true
	cl.mutex.Unlock()
	if closed {
		return fmt.Errorf("shmd: cannot close the client: %w", ErrClosed)
	}
	if c != nil {
		c.release()
	}
	return nil
}

// connection gives one for a call by this process as it is now. The caller releases it.
func (cl *Client) connection(ctx context.Context) (*conn, error) {
	for {
		cl.mutex.Lock()
		if cl.closed {
			cl.mutex.Unlock()
			return nil, ErrClosed
		}
		c := cl.current
		if c != nil {
			c.retain()
		}
		cl.mutex.Unlock()
		if c != nil && c.usable() {
			return c, nil
		}
		next, err := cl.connectAnew(ctx, c)
		if err != nil {
			return nil, err
		}
		cl.install(c, next)
	}
}

// connectAnew gives a connection in the place of c, which it releases. The caller releases what it gives.
func (cl *Client) connectAnew(ctx context.Context, c *conn) (*conn, error) {
	if c == nil {
		return dial(ctx, cl.path)
	}
	defer c.release()
	if !c.ended.Load() { // another user
		return dial(ctx, cl.path)
	}
	next, err := c.makeSuccessor(ctx)
	if err == nil {
		next.retain()
	}
	return next, err
}

func (cl *Client) install(old, next *conn) {
	unwanted := next
	cl.mutex.Lock()
	if cl.current == old && !cl.closed {
		cl.current, unwanted = next, old
	}
	cl.mutex.Unlock()
	if unwanted != nil {
		unwanted.release()
	}
}

// carryOut runs attempt, and once more on a new connection when the first one ended under it and nothing is done twice by
// that. again: carried out twice the call does the same.
func carryOut[R any](ctx context.Context, cl *Client, again bool, tried func() string,
	attempt func(*conn) (R, error)) (R, error) {
	for last := false; ; last = true {
		c, err := cl.connection(ctx)
		if err != nil {
			var none R
			return none, inContext(err, tried)
		}
		result, err := attempt(c)
		c.release()
		var lost *lostError
		harmless := errors.As(err, &lost) && (lost.unsent || again)
		if err == nil || last || !harmless {
			return result, inContext(err, tried)
		}
	}
}

// describing is a call that answers with the segment. All of them do the same when they are carried out twice.
func (cl *Client) describing(ctx context.Context, ref Ref, tried, method string, parameters func(target) any) (*Info, error) {
	to, err := ref.target()
	says := func() string { return tried + " " + ref.String() }
	if err != nil {
		return nil, inContext(err, says)
	}
	message := encode(method, parameters(to))
	return carryOut(ctx, cl, true, says, func(c *conn) (*Info, error) {
		got, err := call[described](ctx, c, message, nil)
		if err != nil {
			return nil, err
		}
		return got.body.Segment.info(), nil
	})
}

// Call makes any Varlink call that answers once and passes no descriptors: for methods that this package has no function for.
// parameters: what encoding/json makes an object of, or nil. reply: where the reply's parameters go, or nil.
func (cl *Client) Call(ctx context.Context, method string, parameters, reply any) error {
	calling := func() string { return "call " + method }
	message, err := json.Marshal(outgoing{Method: method, Parameters: parameters})
	if err != nil {
		return inContext(&argumentError{err.Error()}, calling)
	}
	_, err = carryOut(ctx, cl, false, calling, func(c *conn) (empty, error) {
		got, err := call[json.RawMessage](ctx, c, message, nil)
		if err != nil {
			return empty{}, err
		}
		return empty{}, read(got.body, reply)
	})
	return err
}

// CallMany is Call for a call that answers many times, as lists do: each is called with the parameters of each reply. When it
// gives an error, CallMany gives that. Not for calls that never end.
func (cl *Client) CallMany(ctx context.Context, method string, parameters any, each func(reply json.RawMessage) error) error {
	calling := func() string { return "call " + method }
	message, err := json.Marshal(outgoing{Method: method, Parameters: parameters, More: true})
	if err != nil {
		return inContext(&argumentError{err.Error()}, calling)
	}
	replies, err := carryOut(ctx, cl, false, calling, func(c *conn) ([]json.RawMessage, error) {
		return callMany[json.RawMessage](ctx, c, message)
	})
	for _, reply := range replies {
		if err == nil {
			err = each(object(reply))
		}
	}
	return err
}

func object(parameters json.RawMessage) json.RawMessage {
	if len(parameters) == 0 || string(parameters) == "null" {
		return json.RawMessage("{}")
	}
	return parameters
}

func read(parameters json.RawMessage, reply any) error {
	if reply == nil {
		return nil
	}
	if err := json.Unmarshal(object(parameters), reply); err != nil {
		return nonsense(describe(err))
	}
	return nil
}
