// Package daemontest runs a real daemon for tests, under a service manager with an fd store, as systemd is one: it holds the
// listening sockets and what the daemon gives it to keep (sd_notify(3): FDSTORE=1, FDSTOREREMOVE=1, BARRIER=1), and starts the
// daemon with all of it (sd_listen_fds(3)).
package daemontest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const patience = 60 * time.Second // for what happens at once

// Options of a Manager.
type Options struct {
	// Store is how many descriptors are kept. 0: no store, so that all segments end with the daemon.
	Store int
	// Config is the text of the daemon's configuration file. Empty: none.
	Config string
}

// Manager is the service manager, with one daemon at most.
type Manager struct {
	options  Options
	dir      string
	sockets  []*os.File
	notify   *net.UnixConn
	daemon   *exec.Cmd
	exited   chan struct{}
	ready    chan struct{}
	listened chan struct{}

	mutex sync.Mutex
	store []stored
}

type stored struct {
	name string
	file *os.File
}

// New makes a manager; Start starts the daemon. $SHMD_DAEMON is its path.
func New(options Options) (*Manager, error) {
	dir, err := os.MkdirTemp("", "shmd-test-")
	if err != nil {
		return nil, err
	}
	m := &Manager{options: options, dir: dir, ready: make(chan struct{}, 1), listened: make(chan struct{})}
	if err := m.prepare(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	go m.listen()
	return m, nil
}

func (m *Manager) prepare() error {
	if err := os.Chmod(m.dir, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(m.path("state"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(m.path("shmd.conf"), []byte(m.options.Config), 0o644); err != nil {
		return err
	}
	for _, path := range []string{m.Socket(), m.ControlSocket()} {
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return err
		}
		listener.SetUnlinkOnClose(false)
		file, err := listener.File()
		listener.Close()
		if err != nil {
			return err
		}
		m.sockets = append(m.sockets, file)
	}
	if err := os.Chmod(m.Socket(), 0o666); err != nil {
		return err
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path("notify"), Net: "unixgram"})
	m.notify = notify
	return err
}

func (m *Manager) path(name string) string { return filepath.Join(m.dir, name) }

// Socket is everybody's socket.
func (m *Manager) Socket() string { return m.path("io.shmd.Segments") }

// ControlSocket is the administrator's.
func (m *Manager) ControlSocket() string { return m.path("io.shmd.Control") }

// Log is what the daemons have said.
func (m *Manager) Log() string {
	text, _ := os.ReadFile(m.path("log"))
	return string(text)
}

// Close ends the daemon and leaves nothing behind.
func (m *Manager) Close() {
	m.Kill()
	m.notify.Close()
	<-m.listened
	for _, each := range m.store {
		each.file.Close()
	}
	for _, each := range m.sockets {
		each.Close()
	}
	os.RemoveAll(m.dir)
}

// Start starts the daemon and waits until it says READY=1.
func (m *Manager) Start() error {
	if err := m.spawn(); err != nil {
		return err
	}
	select {
	case <-m.ready:
		return nil
	case <-m.exited:
		return errors.New("the daemon ended before it was ready:\n" + m.Log())
	case <-time.After(patience):
		return errors.New("the daemon did not become ready:\n" + m.Log())
	}
}

func (m *Manager) spawn() error {
	daemon := os.Getenv("SHMD_DAEMON")
	if daemon == "" {
		return errors.New("$SHMD_DAEMON must be the path of the daemon, shmd")
	}
	log, err := os.OpenFile(m.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	// The shell knows the pid that $LISTEN_PID has to name.
	command := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", daemon)
	if m.options.Config != "" {
		command.Args = append(command.Args, "--config", m.path("shmd.conf"))
	}
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	m.mutex.Lock()
	defer m.mutex.Unlock()
	names := []string{"io.shmd.Segments", "io.shmd.Control"}
	command.ExtraFiles = append(command.ExtraFiles, m.sockets...)
	for _, each := range m.store {
		names = append(names, each.name)
		command.ExtraFiles = append(command.ExtraFiles, each.file)
	}
	command.Env = append(os.Environ(),
		"NOTIFY_SOCKET="+m.path("notify"),
		"LISTEN_FDS="+strconv.Itoa(len(names)),
		"LISTEN_FDNAMES="+strings.Join(names, ":"),
		"RUNTIME_DIRECTORY="+m.path("state"),
		"FDSTORE="+strconv.Itoa(m.options.Store))
	if err := start(command); err != nil {
		return err
	}
	exited := make(chan struct{})
	m.daemon, m.exited = command, exited
	go func() {
		command.Wait()
		close(exited)
	}()
	return nil
}

// The daemon goes with the thread that has started it: so that is one which lasts as long as the test.
var starter = func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for each := range work {
			each()
		}
	}()
	return work
}()

func start(command *exec.Cmd) error {
	result := make(chan error)
	starter <- func() { result <- command.Start() }
	return <-result
}

// PID is the daemon's process.
func (m *Manager) PID() int { return m.daemon.Process.Pid }

// Kill ends the daemon with SIGKILL. Its segments are in the store.
func (m *Manager) Kill() { m.end(syscall.SIGKILL) }

// Stop ends the daemon with SIGTERM.
func (m *Manager) Stop() { m.end(syscall.SIGTERM) }

// Restart kills the daemon and starts another one.
func (m *Manager) Restart() error {
	m.Kill()
	return m.Start()
}

func (m *Manager) end(signal syscall.Signal) {
	if m.daemon == nil {
		return
	}
	m.daemon.Process.Signal(signal)
	<-m.exited
	m.daemon = nil
	select {
	case <-m.ready:
	default:
	}
}

func (m *Manager) listen() {
	defer close(m.listened)
	text := make([]byte, 4096)
	control := make([]byte, syscall.CmsgSpace(4*16))
	for {
		n, controls, _, _, err := m.notify.ReadMsgUnix(text, control)
		if err != nil {
			return
		}
		m.handle(string(text[:n]), filesIn(control[:controls]))
	}
}

func filesIn(control []byte) []*os.File {
	var files []*os.File
	messages, _ := syscall.ParseSocketControlMessage(control)
	for i := range messages {
		descriptors, _ := syscall.ParseUnixRights(&messages[i])
		for _, each := range descriptors {
			files = append(files, os.NewFile(uintptr(each), "stored"))
		}
	}
	return files
}

// What comes with a barrier is closed, which is its answer.
func (m *Manager) handle(text string, files []*os.File) {
	fields := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if equals := strings.IndexByte(line, '='); equals > 0 {
			fields[line[:equals]] = line[equals+1:]
		}
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if fields["FDSTOREREMOVE"] != "" {
		m.forget(fields["FDNAME"])
	}
	if fields["FDSTORE"] != "" {
		for len(files) > 0 && len(m.store) < m.options.Store {
			m.store = append(m.store, stored{fields["FDNAME"], files[0]})
			files = files[1:]
		}
	}
	for _, each := range files {
		each.Close()
	}
	if fields["READY"] != "" {
		m.ready <- struct{}{}
	}
}

func (m *Manager) forget(name string) {
	var left []stored
	for _, each := range m.store {
		if each.name == name {
			each.file.Close()
		} else {
			left = append(left, each)
		}
	}
	m.store = left
}

// Descriptors counts the open descriptors of this process.
func Descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}

// Mapped counts the mappings of this process that have this in their line of /proc/self/maps.
func Mapped(what string) int {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		panic(err)
	}
	return bytes.Count(text, []byte(what))
}

// MappedSegments tells how many mappings of segments of so many bytes this process has.
func MappedSegments(bytes int) int {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		panic(err)
	}
	page, count := os.Getpagesize(), 0
	for _, line := range strings.Split(string(text), "\n") {
		var begin, end int
		if !strings.Contains(line, "/memfd:shmd ") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x ", &begin, &end); err != nil {
			panic(err)
		}
		if end-begin == (bytes+page-1)/page*page {
			count++
		}
	}
	return count
}

// Run starts a program and gives its output. It ends with this process at the latest.
func Run(command *exec.Cmd) (string, error) {
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := start(command); err != nil {
		return "", err
	}
	if err := command.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", command.Path, err, out.String())
	}
	return out.String(), nil
}
