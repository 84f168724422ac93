package shmd

// Where the daemon's sockets are.

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	segmentsSocket  = "io.shmd.Segments"
	controlSocket   = "io.shmd.Control"
	systemDirectory = "/run/shmd"
)

// environment reads a variable, which a set-uid program does not trust.
func environment(name string) string {
	if os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() {
		return ""
	}
	return os.Getenv(name)
}

// findSocket looks where every client of shmd looks: the environment, the system instance, the user instance.
func findSocket(name string) (string, error) {
	if name == controlSocket {
		if path := environment("SHMD_CONTROL_SOCKET"); path != "" {
			return path, nil
		}
	}
	if path := environment("SHMD_SOCKET"); path != "" {
		if name == controlSocket {
			return controlSocketOf(path), nil
		}
		return path, nil
	}
	system := filepath.Join(systemDirectory, name)
	if syscall.Access(system, 0) == nil {
		return system, nil
	}
	directory := userDirectory()
	if err := checkPrivate(directory); err != nil {
		return "", err
	}
	return filepath.Join(directory, name), nil
}

func controlSocketOf(path string) string {
	if path == segmentsSocket || strings.HasSuffix(path, "/"+segmentsSocket) {
		return strings.TrimSuffix(path, segmentsSocket) + controlSocket
	}
	return path + ".control"
}

func userDirectory() string {
	if base := environment("XDG_RUNTIME_DIR"); base != "" {
		return filepath.Join(base, "shmd")
	}
	return "/tmp/shmd-" + strconv.Itoa(os.Geteuid())
}

// checkPrivate refuses a directory in which another user may have put a socket. One that is not there has none.
func checkPrivate(directory string) error {
	info, err := os.Lstat(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		status, ok := info.Sys().(*syscall.Stat_t)
		if ok && info.IsDir() && status.Uid == uint32(os.Geteuid()) && info.Mode().Perm()&0o022 == 0 {
			return nil
		}
	}
	return &unavailableError{"there is no system instance of shmd, and " + directory +
		" is not trusted: another user owns it or may write to it"}
}
