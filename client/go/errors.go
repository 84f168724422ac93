package shmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// ErrorName is the name of an error that the daemon answers with, as its interface description has it. Use it with
// [errors.Is]:
//
//	if errors.Is(err, shmd.ErrNoSuchSegment) { ... }
type ErrorName string

func (n ErrorName) Error() string { return string(n) }

// The daemon's errors. Beside these names, [errors.Is] finds fs.ErrNotExist in ErrNoSuchSegment, fs.ErrExist in
// ErrSegmentExists, fs.ErrPermission in ErrPermissionDenied, and in all of them the [syscall.Errno] that the C library gives.
const (
	ErrNoSuchSegment        ErrorName = "io.shmd.Segments.NoSuchSegment"        // no segment has this key or id, or not in this time
	ErrSegmentExists        ErrorName = "io.shmd.Segments.SegmentExists"        // the key is taken
	ErrSizeMismatch         ErrorName = "io.shmd.Segments.SizeMismatch"         // the existing segment is smaller: sizeBytes
	ErrInvalidKey           ErrorName = "io.shmd.Segments.InvalidKey"           // the key breaks the grammar
	ErrQuotaExceeded        ErrorName = "io.shmd.Segments.QuotaExceeded"        // resource, limit
	ErrOutOfMemory          ErrorName = "io.shmd.Segments.OutOfMemory"          // the machine has not sizeBytes to give
	ErrSegmentSealed        ErrorName = "io.shmd.Segments.SegmentSealed"        // it cannot be written any more
	ErrNotSealed            ErrorName = "io.shmd.Segments.NotSealed"            // it can still be written
	ErrNotSealable          ErrorName = "io.shmd.Segments.NotSealable"          // it was created not to be sealed
	ErrSegmentBusy          ErrorName = "io.shmd.Segments.SegmentBusy"          // see [Error.Holders]
	ErrNoLease              ErrorName = "io.shmd.Segments.NoLease"              // there is no lease to renew
	ErrCapacityExceeded     ErrorName = "io.shmd.Segments.CapacityExceeded"     // it cannot grow beyond capacityBytes
	ErrPlacementUnavailable ErrorName = "io.shmd.Segments.PlacementUnavailable" // no such huge pages or nodes: setting
	ErrDraining             ErrorName = "io.shmd.Segments.Draining"             // the daemon makes no new segments
	ErrNoSuchProcess        ErrorName = "io.shmd.Control.NoSuchProcess"         // of an administrator's call: pid
	ErrInvalidConfiguration ErrorName = "io.shmd.Control.InvalidConfiguration"  // of an administrator's call: reason
	ErrPermissionDenied     ErrorName = "org.varlink.service.PermissionDenied"
	ErrInvalidParameter     ErrorName = "org.varlink.service.InvalidParameter"     // parameter
	ErrInterfaceNotFound    ErrorName = "org.varlink.service.InterfaceNotFound"    // interface: not on this socket
	ErrMethodNotFound       ErrorName = "org.varlink.service.MethodNotFound"       // method: an older daemon
	ErrMethodNotImplemented ErrorName = "org.varlink.service.MethodNotImplemented" // method
	ErrExpectedMore         ErrorName = "org.varlink.service.ExpectedMore"
)

// Errors that arise in this process.
var (
	// ErrClosed: the segment, the watch or the client has been closed. It is an fs.ErrClosed too.
	ErrClosed error = closedError{}
	// ErrReadOnly: a write to a segment that is open for reading, or a lock in it. It is an fs.ErrPermission too.
	ErrReadOnly error = readOnlyError{}
	// ErrFault: the memory is not there. The machine had none left for a page that was not reserved.
	ErrFault = errors.New("the machine has no memory left for this page of the segment")
	// ErrOutOfRange: an offset or a length outside the segment.
	ErrOutOfRange = errors.New("outside the segment")
	// ErrInvalidArgument: an argument that cannot be, whatever the daemon says.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrUnavailable: no daemon answers.
	ErrUnavailable = errors.New("no daemon answers")
	// ErrDisconnected: the daemon went away. A call that was under way may or may not have been carried out; a segment whose
	// grant has ended with the daemon is still mapped, and all calls about it give this error.
	ErrDisconnected = errors.New("the daemon has gone away")
	// ErrLocked: a lock that was only tried is held by somebody, this process perhaps.
	ErrLocked = errors.New("it is locked")
	// ErrNotHeld: an unlock of a lock that is not held, or not any more.
	ErrNotHeld = errors.New("the lock is not held any more")
	// ErrHalfWritten: a writer died in a write section, and nobody has repaired the content since. Lock the segment, repair it and
	// call [Lock.MakeConsistent].
	ErrHalfWritten = errors.New("the content is half written: a writer died, and nobody has made it consistent since")
)

// Error is an error that the daemon has answered with.
type Error struct {
	// Op is what was tried, such as "open segment 'a' for reading".
	Op string
	// Name is one of the names above, or one that this version does not know.
	Name ErrorName
	// Parameters are the error's fields as JSON has them, with json.Number for numbers. Never nil.
	Parameters map[string]any
}

func (e *Error) Error() string {
	why := words[e.Name]
	if why == "" {
		why = "it refuses"
	}
	if len(e.Parameters) > 0 {
		if text, err := json.Marshal(e.Parameters); err == nil {
			return fmt.Sprintf("shmd: cannot %s: %s (%s %s)", e.Op, why, string(e.Name), text)
		}
	}
	return fmt.Sprintf("shmd: cannot %s: %s (%s)", e.Op, why, string(e.Name))
}

// Is tells whether target is the name of this error, or what the rest of Go calls it.
func (e *Error) Is(target error) bool {
	switch target := target.(type) {
	case ErrorName:
		return target == e.Name
	case syscall.Errno:
		return target == e.Errno()
	}
	switch target {
	case fs.ErrNotExist:
		return e.Name == ErrNoSuchSegment
	case fs.ErrExist:
		return e.Name == ErrSegmentExists
	case fs.ErrPermission:
		return e.Name == ErrPermissionDenied
	}
	return false
}

// Errno is the number that libshmd has for this error, EREMOTEIO for one that this version does not know.
func (e *Error) Errno() syscall.Errno {
	if number, known := errnos[e.Name]; known {
		return number
	}
	return syscall.EREMOTEIO
}

// Text gives a parameter that is a string, such as "key", "resource" or "parameter". Empty when there is none.
func (e *Error) Text(parameter string) string {
	text, _ := e.Parameters[parameter].(string)
	return text
}

// Int gives a parameter that is an integer, such as "sizeBytes", "limit" or "capacityBytes". 0 when there is none.
func (e *Error) Int(parameter string) int64 {
	number, _ := e.Parameters[parameter].(json.Number)
	value, _ := number.Int64()
	return value
}

// Holder is a process that has a segment open.
type Holder struct {
	// PID is 0 when the daemon cannot see the process.
	PID        int32  `json:"pid"`
	UID        uint32 `json:"uid"`
	Attachment uint32 `json:"attachment"`
	Access     Access `json:"access"`
}

// Holders are those for whose sake the answer was [ErrSegmentBusy].
func (e *Error) Holders() []Holder {
	var holders []Holder
	text, err := json.Marshal(e.Parameters["holders"])
	if err != nil || json.Unmarshal(text, &holders) != nil {
		return nil
	}
	return holders
}

// ProtocolError is an answer that makes no sense. The connection is given up, and with it the grants made on it.
type ProtocolError struct {
	Op  string
	Why string
}

func (e *ProtocolError) Error() string {
	if e.Op == "" {
		return "shmd: the daemon's answer makes no sense: " + e.Why
	}
	return "shmd: cannot " + e.Op + ": the daemon's answer makes no sense: " + e.Why
}

func nonsense(why string) error { return &ProtocolError{Why: why} }

type closedError struct{}

func (closedError) Error() string        { return "already closed" }
func (closedError) Is(target error) bool { return target == fs.ErrClosed }

type readOnlyError struct{}

func (readOnlyError) Error() string        { return "the segment is open for reading" }
func (readOnlyError) Is(target error) bool { return target == fs.ErrPermission }

type unavailableError struct{ why string }

func (e *unavailableError) Error() string        { return e.why }
func (e *unavailableError) Is(target error) bool { return target == ErrUnavailable }

type argumentError struct{ why string }

func (e *argumentError) Error() string        { return e.why }
func (e *argumentError) Is(target error) bool { return target == ErrInvalidArgument }

// lostError is the end of a connection under a call. unsent: the daemon has not had the whole call and did nothing.
type lostError struct{ unsent bool }

func (e *lostError) Error() string {
	if e.unsent {
		return ErrDisconnected.Error()
	}
	return "the daemon went away before it answered: this may or may not have been done"
}
func (e *lostError) Is(target error) bool { return target == ErrDisconnected }

// inContext says what was tried. nil stays nil.
func inContext(err error, tried func() string) error {
	switch err := err.(type) {
	case nil:
		return nil
	case *Error:
		said := *err
		said.Op = tried()
		return &said
	case *ProtocolError:
		return &ProtocolError{Op: tried(), Why: err.Why}
	}
	return fmt.Errorf("shmd: cannot %s: %w", tried(), err)
}

// decodeError makes an Error of an error reply. Parameters that are no object make no sense.
func decodeError(name string, parameters json.RawMessage) error {
	e := &Error{Name: ErrorName(name), Parameters: map[string]any{}}
	if len(parameters) == 0 || bytes.Equal(parameters, []byte("null")) {
		return e
	}
	decoder := json.NewDecoder(bytes.NewReader(parameters))
	decoder.UseNumber()
	if err := decoder.Decode(&e.Parameters); err != nil {
		return nonsense("the parameters of its error are no object")
	}
	return e
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

var words = map[ErrorName]string{
	ErrNoSuchSegment:        "there is no such segment",
	ErrSegmentExists:        "the key is taken",
	ErrSizeMismatch:         "the segment that is there is smaller",
	ErrInvalidKey:           "a key is 1 to 255 bytes of A-Z a-z 0-9 . _ : / @ + = -, the first one a letter or a digit",
	ErrQuotaExceeded:        "a limit is reached",
	ErrOutOfMemory:          "the machine has not so much memory to give",
	ErrSegmentSealed:        "it is sealed and cannot be written any more",
	ErrNotSealed:            "it can still be written",
	ErrNotSealable:          "it was created not to be sealed",
	ErrSegmentBusy:          "others have it open",
	ErrNoLease:              "it has no lease",
	ErrCapacityExceeded:     "it cannot grow so far",
	ErrPlacementUnavailable: "the machine has no such huge pages or nodes now",
	ErrDraining:             "the daemon makes no new segments",
	ErrNoSuchProcess:        "no such process is connected",
	ErrInvalidConfiguration: "the configuration cannot be used",
	ErrPermissionDenied:     "permission denied",
	ErrInvalidParameter:     "a parameter is missing, unknown or wrong",
	ErrInterfaceNotFound:    "this socket does not serve the interface",
	ErrMethodNotFound:       "the daemon does not have this method",
	ErrMethodNotImplemented: "the daemon does not have this method",
	ErrExpectedMore:         "it answers many times and has to be called so",
}

var errnos = map[ErrorName]syscall.Errno{
	ErrNoSuchSegment:        syscall.ENOENT,
	ErrSegmentExists:        syscall.EEXIST,
	ErrSizeMismatch:         syscall.ERANGE,
	ErrInvalidKey:           syscall.EINVAL,
	ErrQuotaExceeded:        syscall.EDQUOT,
	ErrOutOfMemory:          syscall.ENOMEM,
	ErrSegmentSealed:        syscall.EROFS,
	ErrNotSealed:            syscall.EBADFD,
	ErrNotSealable:          syscall.EBADFD,
	ErrSegmentBusy:          syscall.EBUSY,
	ErrNoLease:              syscall.EBADFD,
	ErrCapacityExceeded:     syscall.EFBIG,
	ErrPlacementUnavailable: syscall.ENODEV,
	ErrDraining:             syscall.ESHUTDOWN,
	ErrNoSuchProcess:        syscall.ESRCH,
	ErrInvalidConfiguration: syscall.EINVAL,
	ErrPermissionDenied:     syscall.EACCES,
	ErrInvalidParameter:     syscall.EINVAL,
	ErrInterfaceNotFound:    syscall.ENOTSUP,
	ErrMethodNotFound:       syscall.ENOTSUP,
	ErrMethodNotImplemented: syscall.ENOTSUP,
	ErrExpectedMore:         syscall.EINVAL,
}
