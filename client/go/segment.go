package shmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Segment is a piece of memory that this process has open and mapped. All methods may be called by many goroutines at once.
//
// Close it when it is not needed any more. One that is forgotten is closed when the garbage collector finds it, unless [Segment.Bytes]
// or [SliceOf] have given out its memory: then it stays open until the process ends.
type Segment struct {
	memory  *mapping
	created bool

	changing chan struct{} // full while the number of the grant must not change, or does

	mutex      sync.Mutex // all below
	conn       *conn      // that has the grant; the segment's own reference is its entry in grants
	attachment uint32
	access     Access
	info       *Info

	size atomic.Int64

	sync      atomic.Pointer[syncArea] // nil before its first use; set with mutex
	syncEnded bool                     // with mutex
}

// Segments whose memory has been given out are not for the garbage collector.
var kept sync.Map

func newSegment(c *conn, g *grant, memory *mapping, access Access) *Segment {
	s := &Segment{
		memory: memory, created: g.created(), changing: make(chan struct{}, 1),
		conn: c, attachment: *g.Attachment, access: access,
	}
	c.hold(s.attachment)
	s.take(g.Segment)
	runtime.SetFinalizer(s, func(forgotten *Segment) { go forgotten.Close() })
	return s
}

func (s *Segment) take(segment *wireInfo) {
	info := segment.info()
	s.mutex.Lock()
	s.info = info
	s.mutex.Unlock()
	s.size.Store(info.Size)
}

// Bytes is the segment's memory itself, without a copy. What is written there is at once seen by all who have the segment
// open, and the other way round; what goroutines and processes do to it at the same time is theirs to order, as with package
// sync/atomic. It is Size bytes long: call Bytes again after the segment was resized. nil after Close.
//
// The slice must not be used after Close. Doing so, or writing to a segment that is open for reading, is a fault, which Go
// makes a crash of unless the goroutine asks for a panic by [debug.SetPanicOnFault]. Bytes does so for the goroutine that
// calls it: there it is a panic with a [runtime.Error]. Other goroutines that get the slice have to do so themselves, or
// use [Segment.View].
//
// The panic after Close is certain for the last 1024 segments that were closed (of 2 TiB in all; on 32-bit machines 64 MiB). The addresses of older
// ones may be in use again.
func (s *Segment) Bytes() []byte {
	if !s.memory.use() {
		return nil
	}
	defer s.leave()
	s.expose()
	return s.slice()
}

func (s *Segment) expose() {
	debug.SetPanicOnFault(true)
	if !s.memory.exposed.Swap(true) {
		kept.Store(s, nil)
		runtime.SetFinalizer(s, nil)
	}
}

func (s *Segment) slice() []byte {
	size := s.size.Load()
	return bytesAt(s.memory.address, size)[:size:size]
}

// View calls f with the segment's memory, which stays mapped until f returns, also when the segment is closed meanwhile. A
// write by f to a segment that is open for reading gives [ErrReadOnly], a page that the machine cannot provide [ErrFault];
// f is left at that place as by a panic. Otherwise View gives what f gives. f must not keep the slice, and other goroutines
// that it starts are not guarded.
func (s *Segment) View(f func(memory []byte) error) error {
	defer runtime.KeepAlive(s)
	if !s.memory.use() {
		return s.fail("look at", ErrClosed)
	}
	defer s.leave()
	s.memory.exposed.Store(true)
	var given error
	if err := s.memory.guarded(func() error {
		given = f(s.slice())
		return nil
	}); err != nil {
		return s.fail("go on in the memory of", err)
	}
	return given
}

// SliceOf is the segment's memory as a slice of T: as many as fit into Size. T must not contain pointers, maps, strings or
// anything else that leads to this process's own memory. What holds for [Segment.Bytes] holds for it.
func SliceOf[T any](s *Segment) ([]T, error) {
	var element T
	kind := reflect.TypeOf(&element).Elem()
	if kind.Size() == 0 || !isPlain(kind) {
		return nil, s.fail("view", &argumentError{kind.String() + " is not plain memory"})
	}
	memory := s.Bytes()
	if memory == nil {
		return nil, s.fail("view", ErrClosed)
	}
	count := len(memory) / int(kind.Size())
	if count == 0 {
		return nil, nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[0])), count), nil
}

func isPlain(kind reflect.Type) bool {
	switch kind.Kind() {
	case reflect.Array:
		return isPlain(kind.Elem())
	case reflect.Struct:
		for i := 0; i < kind.NumField(); i++ {
			if !isPlain(kind.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Uintptr:
		return false
	}
	return kind.Kind() >= reflect.Bool && kind.Kind() <= reflect.Complex128
}

// ReadAt copies out of the segment, as [io.ReaderAt] has it: io.EOF where fewer bytes than len(p) are there.
func (s *Segment) ReadAt(p []byte, offset int64) (int, error) {
	defer runtime.KeepAlive(s)
	if !s.memory.use() {
		return 0, s.fail("read", ErrClosed)
	}
	defer s.leave()
	size := s.size.Load()
	if offset < 0 {
		return 0, s.fail("read", ErrOutOfRange)
	}
	if offset >= size {
		return 0, io.EOF
	}
	n := 0
	err := s.memory.guarded(func() error {
		n = copy(p, s.slice()[offset:])
		return nil
	})
	if err != nil {
		return 0, s.fail("read", ErrFault)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt copies into the segment. [ErrReadOnly] when it is open for reading. What does not fit into Size is not written at
// all: [ErrOutOfRange].
func (s *Segment) WriteAt(p []byte, offset int64) (int, error) {
	defer runtime.KeepAlive(s)
	if !s.memory.use() {
		return 0, s.fail("write", ErrClosed)
	}
	defer s.leave()
	if s.Access() != Write {
		return 0, s.fail("write", ErrReadOnly)
	}
	size := s.size.Load()
	if offset < 0 || offset > size || int64(len(p)) > size-offset {
		return 0, s.fail("write", ErrOutOfRange)
	}
	if err := s.memory.guarded(func() error {
		copy(s.slice()[offset:], p)
		return nil
	}); err != nil {
		return 0, s.fail("write", err)
	}
	return len(p), nil
}

// Size is the size in bytes as this process last heard of it: when it was opened, or by Resize and Remap.
func (s *Segment) Size() int64 { return s.size.Load() }

// ID stands for this segment for ever.
func (s *Segment) ID() int64 { return s.Info().ID }

// Key is the key at the time of Info. Empty when it has none.
func (s *Segment) Key() string { return s.Info().Key }

// Access is what was granted. Seal makes it Read.
func (s *Segment) Access() Access {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.access
}

// Created tells whether Create has made the segment, or found it.
func (s *Segment) Created() bool { return s.created }

// Attachment is the number of the grant, 1 to 2^32-1.
func (s *Segment) Attachment() uint32 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.attachment
}

// Info is what the daemon told when the segment was opened, or at the last call on it that told anew. It is not to be
// changed.
func (s *Segment) Info() *Info {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.info
}

// Close unmaps the segment and ends its grant. The daemon is told without waiting for it: a later call of the same client sees
// the grant ended, another process a moment later. A View that is under way keeps the memory until it is done. If a lock of the
// segment is held, closing it is the death of its holder to others; whoever waits for one of its locks gets [ErrClosed]. Closing
// twice gives that, too.
func (s *Segment) Close() error {
	runtime.SetFinalizer(s, nil)
	s.retireArea(true)
	first, gone := s.memory.close()
	if !first {
		return s.fail("close", ErrClosed)
	}
	kept.Delete(s)
	if gone {
		s.detach()
	}
	return nil
}

func (s *Segment) leave() {
	if s.memory.leave() {
		s.detach()
	}
}

// detach ends the grant, after the memory was unmapped.
func (s *Segment) detach() {
	s.mutex.Lock()
	c, attachment := s.conn, s.attachment
	s.mutex.Unlock()
	for message := encodeOneway("Detach", detach{attachment}); !c.notify(message); {
		next := c.letGo(attachment)
		if next == nil {
			c.giveBack(attachment)
			return
		}
		if !next.holds(attachment) {
			return
		}
		c = next
	}
	c.letGo(attachment)
}

func (s *Segment) fail(tried string, err error) error {
	return inContext(err, func() string { return tried + " " + s.String() })
}

// String names the segment for people.
func (s *Segment) String() string {
	info := s.Info()
	if info.Key != "" {
		return Key(info.Key).String()
	}
	return ID(info.ID).String()
}

// granting gives the connection that has the grant: the one that gave it, or one that took it up after a restart of the
// daemon. The caller releases it.
func (s *Segment) granting(ctx context.Context) (*conn, error) {
	for {
		if s.memory.state.Load()&mappingClosed != 0 {
			return nil, ErrClosed
		}
		s.mutex.Lock()
		c, attachment := s.conn, s.attachment
		c.retain()
		s.mutex.Unlock()
		if !c.ended.Load() {
			return c, nil
		}
		next, err := c.makeSuccessor(ctx)
		if err == nil && !next.holds(attachment) {
			err = fmt.Errorf("%w: the grant has ended with the connection it came from; open or create the segment again",
				ErrDisconnected)
		}
		if err == nil {
			s.moveTo(c, next)
		}
		c.release()
		if err != nil {
			return nil, err
		}
	}
}

func (s *Segment) moveTo(from, to *conn) {
	s.mutex.Lock()
	moved := s.conn == from
	if moved {
		s.conn = to
	}
	attachment := s.attachment
	s.mutex.Unlock()
	if moved {
		from.letGo(attachment)
	}
}

// onGrant makes a call on the connection that has the grant. One that has not reached a daemon is made again, once.
func onGrant[T any](ctx context.Context, s *Segment, tried, method string, parameters any) (T, error) {
	got, err := askOnGrant[T](ctx, s, method, parameters)
	return got.body, s.fail(tried, err)
}

// askOnGrant is onGrant for an answer with descriptors, with an error that does not say yet what was tried.
func askOnGrant[T any](ctx context.Context, s *Segment, method string, parameters any) (answer[T], error) {
	message := encode(method, parameters)
	for last := false; ; last = true {
		var got answer[T]
		c, err := s.granting(ctx)
		if err == nil {
			got, err = call[T](ctx, c, message, nil)
			c.release()
		}
		var lost *lostError
		if last || !errors.As(err, &lost) || !lost.unsent {
			return got, err
		}
	}
}

// change is a call that answers with what the segment is then.
func (s *Segment) change(ctx context.Context, tried, method string, parameters any) error {
	body, err := onGrant[described](ctx, s, tried, method, parameters)
	if err != nil {
		return err
	}
	if uint64(*body.Segment.SizeBytes) > uint64(s.memory.length) {
		return s.fail(tried, nonsense("it tells of more memory than the segment has"))
	}
	s.take(body.Segment)
	return nil
}

func (s *Segment) byID() target {
	id := s.ID()
	return target{ID: &id}
}

// Publish gives a staged segment its key, with all that was written before, in one step. An empty key means the one named at
// Create. replace takes the key over from the segment that has it, whose holders keep its memory.
func (s *Segment) Publish(ctx context.Context, key Key, replace bool) error {
	done, err := s.turn(ctx)
	if err != nil {
		return s.fail("publish", err)
	}
	defer done()
	return s.change(ctx, "publish", "Publish", publish{s.Attachment(), string(key), replace})
}

// Resize changes the size, within the capacity. Key, address and content stay; what is new is zeros. It is made smaller only
// while nobody else has it open.
func (s *Segment) Resize(ctx context.Context, size int64) error {
	return s.change(ctx, "resize", "Resize", resize{s.byID(), size})
}

// Remap learns of a new size that somebody else gave the segment, and of all else that Info tells.
func (s *Segment) Remap(ctx context.Context) error {
	return s.change(ctx, "describe", "Describe", s.byID())
}

// Renew begins the lease anew, for its full length from now on.
func (s *Segment) Renew(ctx context.Context) error {
	return s.change(ctx, "renew the lease of", "Renew", s.byID())
}

// Delete deletes the segment. The key is free at once; the memory stays until it is closed everywhere.
func (s *Segment) Delete(ctx context.Context) error {
	_, err := onGrant[empty](ctx, s, "delete", "Delete", s.byID())
	return err
}
