package shmd_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"shmd"
)

// An actor is another process that has one segment open, and does what each line says that it gets.
type actor struct {
	t       *testing.T
	command *exec.Cmd
	in      io.WriteCloser
	pipe    *os.File
	out     *bufio.Reader
}

func newActor(t *testing.T, socket string, key shmd.Key, access shmd.Access) *actor {
	t.Helper()
	command := another(t, 0, "act "+string(key)+" "+string(access))
	command.Env = append(command.Env, "SHMD_SOCKET="+socket)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	must(t, err)
	out, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	a := &actor{t, command, in, out.(*os.File), bufio.NewReader(out)}
	t.Cleanup(a.kill)
	a.hears("open")
	return a
}

// here makes an actor of the daemon that most tests use.
func here(t *testing.T, key shmd.Key, access shmd.Access) *actor {
	t.Helper()
	return newActor(t, daemon.Socket(), key, access)
}

func (a *actor) kill() {
	if a.command.ProcessState == nil {
		a.command.Process.Kill()
		a.command.Wait()
	}
}

func (a *actor) tell(line string) {
	a.t.Helper()
	_, err := io.WriteString(a.in, line+"\n")
	must(a.t, err)
}

func (a *actor) hears(wanted string) {
	a.t.Helper()
	must(a.t, a.pipe.SetReadDeadline(time.Now().Add(time.Minute)))
	line, err := a.out.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != wanted {
		a.t.Fatalf("the other process says %q and not %q (%v)", line, wanted, err)
	}
}

func (a *actor) does(line, answer string) {
	a.t.Helper()
	a.tell(line)
	a.hears(answer)
}

// soon ends long after what is waited for has come.
func soon(t *testing.T) context.Context {
	ending, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return ending
}

// eventually asks until something is so, which it is soon.
func eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !isSo(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come: " + what)
		}
	}
}

// Below is what the other process does.

type holding interface {
	OwnerDied() bool
	Unlock() error
}

type performer struct {
	segment *shmd.Segment
	lock    holding
	section *shmd.WriteSection
}

func act(client *shmd.Client, key shmd.Key, access shmd.Access) int {
	segment, err := client.Open(ctx, key, access, nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	lines := make(chan string)
	go func() {
		for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
			lines <- scanner.Text()
		}
		os.Exit(0) // the tests have gone, whatever this process waits for
	}()
	fmt.Println("open")
	p := &performer{segment: segment}
	for line := range lines {
		fmt.Println(p.perform(strings.Fields(line)))
	}
	return 0
}

func (p *performer) perform(words []string) string {
	number := 0
	if len(words) > 1 {
		number, _ = strconv.Atoi(words[1])
	}
	switch words[0] {
	case "lock":
		lock, err := p.segment.Lock(ctx)
		return p.locked(lock, err)
	case "write-lock":
		lock, err := p.segment.WriteLock(ctx)
		return p.locked(lock, err)
	case "read-lock":
		lock, err := p.segment.ReadLock(ctx)
		return p.locked(lock, err)
	case "unlock":
		return short(p.lock.Unlock())
	case "consistent":
		return short(p.lock.(*shmd.Lock).MakeConsistent())
	case "begin": // NUMBER: and fills half of the segment with it
		section, err := p.segment.BeginWrite(ctx)
		if err != nil {
			return short(err)
		}
		p.section = section
		memory := p.segment.Bytes()
		fill(memory[:len(memory)/2], byte(number))
		return "half written"
	case "end":
		return short(p.section.End())
	case "count": // NUMBER times
		return short(countLocked(ctx, p.segment, number))
	case "lock-all": // for ever
		for {
			if err := lockAll(ctx, p.segment); err != nil {
				return short(err)
			}
		}
	case "sections": // NUMBER of them
		return short(writeSections(p.segment, number))
	case "wait": // for a version after NUMBER
		version, err := p.segment.Wait(ctx, uint64(number))
		if err != nil {
			return short(err)
		}
		return fmt.Sprint(version)
	case "notify":
		_, err := p.segment.Notify(ctx)
		return short(err)
	}
	return "what?"
}

func (p *performer) locked(lock holding, err error) string {
	if err != nil {
		return short(err)
	}
	p.lock = lock
	if lock.OwnerDied() {
		return "owner died"
	}
	return "locked"
}

func short(err error) string {
	for name, each := range map[string]error{"read only": shmd.ErrReadOnly, "not held": shmd.ErrNotHeld} {
		if errors.Is(err, each) {
			return name
		}
	}
	return said(err)
}

func fill(memory []byte, with byte) {
	for i := range memory {
		memory[i] = with
	}
}

// countLocked adds to the number at the beginning of the memory, by steps that others could come between.
func countLocked(ctx context.Context, segment *shmd.Segment, times int) error {
	memory := segment.Bytes()
	for i := 0; i < times; i++ {
		lock, err := segment.Lock(ctx)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(memory, binary.LittleEndian.Uint64(memory)+1)
		if err := lock.Unlock(); err != nil {
			return err
		}
	}
	return nil
}

// writeSections fills the memory with another byte in each section.
func writeSections(segment *shmd.Segment, count int) error {
	memory := segment.Bytes()
	for i := 0; i < count; i++ {
		section, err := segment.BeginWrite(ctx)
		if err != nil {
			return err
		}
		fill(memory, memory[0]+1)
		if err := section.End(); err != nil {
			return err
		}
	}
	return nil
}

// lockAll takes each lock once.
func lockAll(ctx context.Context, segment *shmd.Segment) error {
	lock, err := segment.Lock(ctx)
	if err == nil {
		err = lock.Unlock()
	}
	if err != nil {
		return err
	}
	read, err := segment.ReadLock(ctx)
	if err == nil {
		err = read.Unlock()
	}
	if err != nil {
		return err
	}
	if lock, err = segment.WriteLock(ctx); err == nil {
		err = lock.Unlock()
	}
	if err != nil {
		return err
	}
	section, err := segment.BeginWrite(ctx)
	if err == nil {
		err = section.End()
	}
	return err
}
