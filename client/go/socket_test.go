package shmd

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestWhereTheSocketIsLookedFor(t *testing.T) {
	if _, err := os.Stat("/run/shmd"); err == nil {
		t.Skip("there is a system instance on this machine")
	}
	private := t.TempDir()
	if err := os.Mkdir(filepath.Join(private, "shmd"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ segments, control, runtime, path, controlPath string }{
		{"/a/io.shmd.Segments", "", private, "/a/io.shmd.Segments", "/a/io.shmd.Control"},
		{"io.shmd.Segments", "", private, "io.shmd.Segments", "io.shmd.Control"},
		{"/a/socket", "", private, "/a/socket", "/a/socket.control"},
		{"/a/xio.shmd.Segments", "", private, "/a/xio.shmd.Segments", "/a/xio.shmd.Segments.control"},
		{"/a/socket", "/b", private, "/a/socket", "/b"},
		{"", "/b", private, private + "/shmd/io.shmd.Segments", "/b"},
		{"", "", private, private + "/shmd/io.shmd.Segments", private + "/shmd/io.shmd.Control"},
		{"", "", "/none", "/none/shmd/io.shmd.Segments", "/none/shmd/io.shmd.Control"},
	} {
		t.Setenv("SHMD_SOCKET", c.segments)
		t.Setenv("SHMD_CONTROL_SOCKET", c.control)
		t.Setenv("XDG_RUNTIME_DIR", c.runtime)
		path, err := findSocket(segmentsSocket)
		controlPath, controlErr := findSocket(controlSocket)
		if err != nil || controlErr != nil || path != c.path || controlPath != c.controlPath {
			t.Errorf("%+v: %s, %s, %v, %v", c, path, controlPath, err, controlErr)
		}
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	if wanted := "/tmp/shmd-" + strconv.Itoa(os.Geteuid()); userDirectory() != wanted {
		t.Errorf("it is %s", userDirectory())
	}
}

func TestDirectoriesThatOthersMayWriteAreNotTrusted(t *testing.T) {
	base := t.TempDir()
	directory := filepath.Join(base, "shmd")
	link := filepath.Join(base, "link")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(directory, link); err != nil {
		t.Fatal(err)
	}
	if err := checkPrivate(directory); err != nil {
		t.Fatal(err)
	}
	refuses := func(path, why string) {
		if err := checkPrivate(path); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", why, err)
		}
	}
	refuses(link, "a symbolic link")
	for _, mode := range []os.FileMode{0o770, 0o702} {
		if err := os.Chmod(directory, mode); err != nil {
			t.Fatal(err)
		}
		refuses(directory, mode.String())
	}
	if err := os.Chmod(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := checkPrivate(directory); err != nil {
		t.Error(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(directory, 12345, 0); err != nil {
			t.Fatal(err)
		}
		refuses(directory, "another user's")
	}
}
