package shmd

// A call and its answer, and what becomes of it when the caller does not wait for the answer.

import (
	"context"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// answer is a reply with the descriptors that came with it, which belong to whoever has the answer.
type answer[T any] struct {
	body        T
	descriptors []int
	lost        bool // the kernel dropped some: this process may open no more files
}

// checked is a reply's parameters. check tells what in them makes no sense.
type checked interface{ check() error }

type outcome[R any] struct {
	result R
	err    error
}

// detached runs work and gives what it gives. When ctx ends before, work goes on by itself, and discard has what it gave.
func detached[R any](ctx context.Context, work func() (R, error), discard func(R)) (R, error) {
	if ctx.Done() == nil {
		return work()
	}
	done := make(chan outcome[R]) // without room: either somebody takes it, or ctx has ended
	go func() {
		result, err := work()
		select {
		case done <- outcome[R]{result, err}:
		case <-ctx.Done():
			if err == nil && discard != nil {
				discard(result)
			}
		}
	}()
	select {
	case all := <-done:
		return all.result, all.err
	case <-ctx.Done():
		var none R
		return none, ctx.Err()
	}
}

// call sends a call and waits for its one reply. A call that is under way cannot be taken back: when ctx ends, it goes on
// until the daemon has answered, and discard undoes what it did. Descriptors are closed then.
func call[T any](ctx context.Context, c *conn, message []byte, discard func(T)) (answer[T], error) {
	if err := c.begin(ctx); err != nil {
		return answer[T]{}, err
	}
	c.retain()
	return detached(ctx, func() (answer[T], error) {
		defer c.release()
		defer func() { <-c.calling }()
		return exchange[T](c, message)
	}, func(unwanted answer[T]) {
		closeAll(unwanted.descriptors)
		if discard != nil {
			discard(unwanted.body)
		}
	})
}

// callMany sends a call that wants more, and waits for all its replies.
func callMany[T any](ctx context.Context, c *conn, message []byte) ([]T, error) {
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	c.retain()
	return detached(ctx, func() ([]T, error) {
		defer c.release()
		defer func() { <-c.calling }()
		return exchangeMany[T](c, message)
	}, nil)
}

// A connection that is left in the middle of an exchange is of no use any more.
func (c *conn) finish(done *bool) {
	closeAll(c.reader.take())
	if !*done {
		c.giveUp()
	}
}

func (c *conn) sendCall(message []byte) error {
	err := c.send(message)
	if _, gone := err.(*lostError); gone && !c.ended.Load() {
		if refused := c.refusal(); refused != nil {
			return refused
		}
	}
	return err
}

func exchange[T any](c *conn, message []byte) (answer[T], error) {
	var got answer[T]
	done := false
	defer c.finish(&done)
	if err := c.sendCall(message); err != nil {
		return got, err
	}
	reply, err := c.receive()
	if err != nil {
		return got, err
	}
	body, continues, err := decodeReply[T](reply)
	if c.reader.pending() || continues {
		return got, nonsense("there is more than one reply")
	}
	var refused *Error
	if err != nil && !errors.As(err, &refused) {
		return got, err
	}
	done, c.proven = true, true
	if err != nil {
		return got, err
	}
	got = answer[T]{body, c.reader.take(), c.reader.lost}
	c.reader.lost = false
	return got, nil
}

func exchangeMany[T any](c *conn, message []byte) ([]T, error) {
	done := false
	defer c.finish(&done)
	if err := c.sendCall(message); err != nil {
		return nil, err
	}
	var all []T
	for {
		reply, err := c.receive()
		if err != nil {
			return nil, err
		}
		body, continues, err := decodeReply[T](reply)
		if !continues && c.reader.pending() {
			return nil, nonsense("there are replies after the last one")
		}
		if err != nil {
			var refused *Error
			done = errors.As(err, &refused) && !continues
			c.proven = c.proven || done
			return nil, err
		}
		all = append(all, body)
		if !continues {
			done, c.proven = true, true
			return all, nil
		}
	}
}

// decodeReply reads a reply with these parameters. An error reply is an *Error, what makes no sense a *ProtocolError.
func decodeReply[T any](message []byte) (body T, continues bool, err error) {
	if !utf8.Valid(message) {
		return body, false, nonsense("it is not UTF-8")
	}
	var reply struct {
		Parameters *T
		Error      *string
		Continues  bool
	}
	reply.Parameters = &body
	err = json.Unmarshal(message, &reply)
	if err != nil || reply.Error != nil {
		var failure struct {
			Parameters json.RawMessage
			Error      *string
			Continues  bool
		}
		if json.Unmarshal(message, &failure) == nil && failure.Error != nil {
			return body, failure.Continues, decodeError(*failure.Error, failure.Parameters)
		}
		return body, false, nonsense(describe(err))
	}
	if checks, ok := any(&body).(checked); ok {
		if err := checks.check(); err != nil {
			return body, false, err
		}
	}
	return body, reply.Continues, nil
}

func describe(err error) string {
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) && mistyped.Field != "" {
		return "its field " + mistyped.Field + " is of another type"
	}
	return "it is not a reply to this call"
}
