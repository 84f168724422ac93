package shmd

// Messages and descriptors out of a byte stream. What they mean is for others.

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
)

const (
	maxMessage     = 1 << 20 // bytes before the NUL
	maxDescriptors = 253     // with one message: SCM_MAX_FD of the kernel
	readChunk      = 4096
)

var errTooLarge = errors.New("it is larger than a message may be")

// frameReader collects what a connection receives. The kernel may hand over the descriptors of a message together with the
// bytes of an earlier one, so they are kept in one queue, apart from the bytes.
type frameReader struct {
	buffer      []byte
	begin       int // of what next has not given out
	scanned     int // up to here there is no NUL
	descriptors []int
	lost        bool // the kernel dropped descriptors: this process may open no more files
	control     []byte
}

// next gives the next whole message, without its NUL. It is valid until the next fill.
func (r *frameReader) next() ([]byte, bool) {
	end := bytes.IndexByte(r.buffer[r.scanned:], 0)
	if end < 0 {
		r.scanned = len(r.buffer)
		return nil, false
	}
	end += r.scanned
	message := r.buffer[r.begin:end]
	r.begin, r.scanned = end+1, end+1
	return message, true
}

// pending tells whether there are bytes that next has not given out.
func (r *frameReader) pending() bool { return r.begin < len(r.buffer) }

// fill waits for more. io.EOF is the end of the stream.
func (r *frameReader) fill(socket *net.UnixConn) error {
	if r.begin > 0 {
		r.buffer = r.buffer[:copy(r.buffer, r.buffer[r.begin:])]
		r.scanned -= r.begin
		r.begin = 0
	}
	if len(r.buffer) > maxMessage {
		return errTooLarge
	}
	if cap(r.buffer)-len(r.buffer) < readChunk/2 {
		grown := make([]byte, len(r.buffer), 2*cap(r.buffer)+readChunk)
		copy(grown, r.buffer)
		r.buffer = grown
	}
	if r.control == nil {
		r.control = make([]byte, syscall.CmsgSpace(4*maxDescriptors))
	}
	n, controls, flags, _, err := socket.ReadMsgUnix(r.buffer[len(r.buffer):cap(r.buffer)], r.control)
	if n > 0 {
		r.buffer = r.buffer[:len(r.buffer)+n]
	}
	if controls > 0 {
		r.keep(r.control[:controls])
	}
	if flags&syscall.MSG_CTRUNC != 0 {
		r.lost = true
	}
	if err == nil && n == 0 {
		return io.EOF
	}
	return err
}

func (r *frameReader) keep(control []byte) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		r.lost = true
		return
	}
	for i := range messages {
		if rights, err := syscall.ParseUnixRights(&messages[i]); err == nil {
			r.descriptors = append(r.descriptors, rights...)
		}
	}
}

// take gives out all descriptors that have come. The caller owns them.
func (r *frameReader) take() []int {
	all := r.descriptors
	r.descriptors = nil
	return all
}

func closeAll(descriptors []int) {
	for _, each := range descriptors {
		if each >= 0 {
			syscall.Close(each)
		}
	}
}
