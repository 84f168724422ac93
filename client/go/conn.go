package shmd

// One connection to the daemon: a call goes out, its answer comes back. What they mean, and when to connect anew, is the
// client's.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const maxResumed = 4096 // attachments in one Resume

// identity is whom the daemon takes a connection for, for ever.
type identity struct{ uid, gid int }

func identityNow() identity { return identity{os.Geteuid(), os.Getegid()} }

// conn lives as long as somebody needs it: the client whose current one it is, calls under way on it, the segments that were
// granted on it, and the connection whose place it took.
type conn struct {
	path     string
	socket   *net.UnixConn
	identity identity
	ended    atomic.Bool

	calling chan struct{} // full while a call is under way, which then has reader and proven
	reader  frameReader
	proven  bool // a reply has come: the daemon has accepted us

	sending sync.Mutex // of whole messages; taken alone or by the call under way

	succeeding chan struct{} // full while a successor is being made

	mutex     sync.Mutex // all below; taken last, that of an older connection before that of its successor
	users     int
	grants    map[uint32]struct{}
	successor *conn
}

// dial gives a connection that the caller has to release.
func dial(ctx context.Context, path string) (*conn, error) {
	if path == "" {
		return nil, &argumentError{"the path of the daemon's socket is empty"}
	}
	name := path
	if strings.HasPrefix(path, "@") {
		name = "./" + path // not an abstract address
	}
	c := &conn{
		path:       path,
		identity:   identityNow(),
		calling:    make(chan struct{}, 1),
		succeeding: make(chan struct{}, 1),
		users:      1,
		grants:     map[uint32]struct{}{},
	}
	for pause := time.Millisecond; ; pause *= 2 {
		socket, err := new(net.Dialer).DialContext(ctx, "unix", name)
		if err == nil {
			c.socket = socket.(*net.UnixConn)
			return c, nil
		}
		// The daemon's queue is full, and there is no event to wait for.
		if !errors.Is(err, syscall.EAGAIN) || pause > time.Second {
			return nil, connectError(ctx, path, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func connectError(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var number syscall.Errno
	if !errors.As(err, &number) {
		return fmt.Errorf("cannot connect to the daemon at %s: %w", path, err)
	}
	if number == syscall.ECONNREFUSED || number == syscall.ENOENT {
		return &unavailableError{fmt.Sprintf("no daemon answers at %s (%v): start shmd, or name its socket in $SHMD_SOCKET",
			path, number)}
	}
	if number == syscall.EINVAL {
		number = syscall.ENAMETOOLONG // so it is called for a path that no address has room for
	}
	return fmt.Errorf("cannot connect to the daemon at %s: %w", path, number)
}

// retain keeps the connection until release.
func (c *conn) retain() {
	c.mutex.Lock()
	c.users++
	c.mutex.Unlock()
}

func (c *conn) release() {
	c.mutex.Lock()
	c.users--
	unused := c.users == 0
	next := c.successor
	if unused {
		c.successor = nil
	}
	c.mutex.Unlock()
	if !unused {
		return
	}
	c.ended.Store(true)
	c.socket.Close()
	if next != nil {
		next.release()
	}
}

// giveUp ends it for good: the daemon takes all its grants back. What reads from it wakes up.
func (c *conn) giveUp() {
	c.ended.Store(true)
	c.socket.Close()
}

// usable is false once it has ended, and after a change of user: calls need a new one.
func (c *conn) usable() bool { return !c.ended.Load() && c.identity == identityNow() }

// hold notes the grant of an open segment. A successor takes it up.
func (c *conn) hold(attachment uint32) {
	c.mutex.Lock()
	c.grants[attachment] = struct{}{}
	c.users++
	c.mutex.Unlock()
}

// letGo is the end of hold. It gives the successor of that moment.
func (c *conn) letGo(attachment uint32) *conn {
	c.mutex.Lock()
	_, held := c.grants[attachment]
	delete(c.grants, attachment)
	next := c.successor
	c.mutex.Unlock()
	if held {
		c.release()
	}
	return next
}

func (c *conn) holds(attachment uint32) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	_, held := c.grants[attachment]
	return held
}

func (c *conn) presentSuccessor() *conn {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.successor
}

// send sends one message, or several that are joined by NULs.
func (c *conn) send(message []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.ended.Load() {
		return &lostError{unsent: true}
	}
	if _, err := c.socket.Write(append(message[:len(message):len(message)], 0)); err != nil {
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
			return &lostError{unsent: true}
		}
		return fmt.Errorf("cannot send to the daemon: %w", err)
	}
	return nil
}

// notify sends a oneway call. False when the connection has ended; true does not say that it arrives.
func (c *conn) notify(message []byte) bool {
	if c.send(message) == nil {
		return true
	}
	c.giveUp()
	return false
}

// receive gives the next message, valid until the next call of receive.
func (c *conn) receive() ([]byte, error) {
	for {
		if message, found := c.reader.next(); found {
			return message, nil
		}
		err := c.reader.fill(c.socket)
		switch {
		case err == nil:
		case err == errTooLarge:
			return nil, nonsense(err.Error())
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
			return nil, &lostError{}
		default:
			return nil, err
		}
	}
}

// refusal is what a daemon that takes no more connections says, unasked, before it hangs up.
func (c *conn) refusal() error {
	if c.proven {
		return nil
	}
	message, err := c.receive()
	if err != nil {
		return nil
	}
	_, _, err = decodeReply[empty](message)
	var refused *Error
	if errors.As(err, &refused) {
		return refused
	}
	return nil
}

// begin waits for its turn. The caller ends it with <-c.calling.
func (c *conn) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case c.calling <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// makeSuccessor gives the connection that takes this one's place once it has ended, as by a restart of the daemon: made at
// the first call, with those grants that the daemon has kept. It may have ended too. It lives as long as
// this one does.
func (c *conn) makeSuccessor(ctx context.Context) (*conn, error) {
	select {
	case c.succeeding <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if next := c.presentSuccessor(); next != nil {
		<-c.succeeding
		return next, nil
	}
	// A call that is cancelled leaves this to the next one: what is half taken up would be lost.
	c.retain()
	return detached(ctx, func() (*conn, error) {
		defer c.release()
		defer func() { <-c.succeeding }()
		return c.succeed()
	}, nil)
}

func (c *conn) succeed() (*conn, error) {
	next, err := dial(context.Background(), c.path)
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	left := make([]uint32, 0, len(c.grants))
	for attachment := range c.grants {
		left = append(left, attachment)
	}
	c.mutex.Unlock()
	for len(left) > 0 {
		some := left
		if len(some) > maxResumed {
			some = some[:maxResumed]
		}
		left = left[len(some):]
		answer, err := call[resumed](context.Background(), next, encode("Resume", resume{some, len(left) > 0}), nil)
		if errors.Is(err, ErrMethodNotFound) {
			break // an older daemon, which has kept nothing
		}
		if err != nil {
			next.giveUp()
			next.release()
			return nil, err
		}
		for _, attachment := range answer.body.Attachments {
			next.hold(attachment)
		}
	}
	for _, attachment := range c.install(next) {
		next.letGo(attachment)
		next.notify(encodeOneway("Detach", detach{attachment}))
	}
	return next, nil
}

// install makes next the successor. It gives what was let go meanwhile.
func (c *conn) install(next *conn) []uint32 {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.successor = next
	next.mutex.Lock()
	defer next.mutex.Unlock()
	var unwanted []uint32
	for attachment := range next.grants {
		if _, wanted := c.grants[attachment]; !wanted {
			unwanted = append(unwanted, attachment)
		}
	}
	return unwanted
}

// giveBack ends a grant of this ended connection, which the daemon may have kept: taken up by a connection that ends at once,
// it ends with that. Does not wait for the daemon.
func (c *conn) giveBack(attachment uint32) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	brief, err := dial(ctx, c.path)
	if err != nil {
		return
	}
	brief.notify(encodeOneway("Resume", resume{[]uint32{attachment}, true}))
	brief.release()
}
