package shmd_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"shmd"
	"shmd/internal/daemontest"
)

// refused checks the error of the daemon and its parameters.
func refused(t *testing.T, err error, name shmd.ErrorName, parameters string) *shmd.Error {
	t.Helper()
	var e *shmd.Error
	if !errors.As(err, &e) || e.Name != name || !errors.Is(err, name) || errors.Is(err, shmd.ErrorName("other")) {
		t.Fatalf("it gives %v and not %s", err, string(name))
	}
	if text, err := json.Marshal(e.Parameters); err != nil || parameters != "" && string(text) != parameters {
		t.Fatalf("its parameters are %s and not %s", text, parameters)
	}
	if e.Op == "" || !strings.Contains(err.Error(), string(name)) || !strings.Contains(err.Error(), e.Op) {
		t.Fatalf("it says %q", err)
	}
	return e
}

func TestErrorsOfTheDaemon(t *testing.T) {
	client := dial(t)
	a := create(t, client, "go/errors/a", 100, nil)
	key := shmd.Key("go/errors/a")

	_, err := client.Open(ctx, shmd.Key("go/errors/none"), shmd.Read, nil)
	e := refused(t, err, shmd.ErrNoSuchSegment, `{"key":"go/errors/none"}`)
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, syscall.ENOENT) || e.Text("key") != "go/errors/none" {
		t.Error(err)
	}
	_, err = client.Describe(ctx, shmd.ID(7))
	if e = refused(t, err, shmd.ErrNoSuchSegment, `{"id":7}`); e.Int("id") != 7 {
		t.Error(e.Int("id"))
	}
	_, err = client.Create(ctx, key, 100, nil)
	refused(t, err, shmd.ErrSegmentExists, `{"key":"go/errors/a"}`)
	if !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	_, err = client.Create(ctx, key, 101, &shmd.CreateOptions{OpenExisting: true})
	if e = refused(t, err, shmd.ErrSizeMismatch, ""); e.Int("sizeBytes") != 100 {
		t.Error(e.Parameters)
	}
	_, err = client.Create(ctx, "_", 100, nil)
	refused(t, err, shmd.ErrInvalidKey, `{"key":"_"}`)
	_, err = client.Create(ctx, "", 0, nil)
	if e = refused(t, err, shmd.ErrInvalidParameter, `{"parameter":"sizeBytes"}`); e.Errno() != syscall.EINVAL {
		t.Error(e.Errno())
	}
	_, err = client.Renew(ctx, key)
	refused(t, err, shmd.ErrNoLease, `{"key":"go/errors/a"}`)
	refused(t, a.Resize(ctx, 101), shmd.ErrCapacityExceeded, `{"capacityBytes":100}`)
	_, err = client.Open(ctx, key, shmd.Read, &shmd.OpenOptions{Sealed: true})
	refused(t, err, shmd.ErrNotSealed, `{"key":"go/errors/a"}`)

	_, err = client.Seal(ctx, key)
	e = refused(t, err, shmd.ErrSegmentBusy, "")
	holders := e.Holders()
	if len(holders) != 1 || holders[0].PID != int32(os.Getpid()) || holders[0].Access != shmd.Write ||
		holders[0].Attachment != a.Attachment() || holders[0].UID != uint32(os.Geteuid()) {
		t.Errorf("the holders are %v", holders)
	}
	must(t, a.Seal(ctx))
	_, err = client.Open(ctx, key, shmd.Write, nil)
	refused(t, err, shmd.ErrSegmentSealed, `{"key":"go/errors/a"}`)

	unsealable := create(t, client, "go/errors/b", 100, &shmd.CreateOptions{Unsealable: true})
	refused(t, unsealable.Seal(ctx), shmd.ErrNotSealable, "")
	if unsealable.Access() != shmd.Write {
		t.Error("it is not open for writing any more")
	}
	unsealable.Bytes()[0] = 1

	_, err = client.Create(ctx, "", 1<<30, &shmd.CreateOptions{HugePages: shmd.Huge1G})
	if e = refused(t, err, shmd.ErrPlacementUnavailable, ""); !strings.Contains(e.Text("setting"), "hugepages") {
		t.Error(e.Parameters)
	}
	refused(t, client.Call(ctx, "io.shmd.Segments.Frobnicate", nil, nil), shmd.ErrMethodNotFound, "")
	refused(t, client.Call(ctx, "io.shmd.Control.GetStatus", nil, nil), shmd.ErrInterfaceNotFound, "")
	refused(t, client.Call(ctx, "io.shmd.Segments.List", nil, nil), shmd.ErrExpectedMore, "{}")
}

func TestErrorsOfLimits(t *testing.T) {
	manager := newManager(t, daemontest.Options{Config: `{"limits": {"bytes": 8796093022208, "segments": 1, "connections": 2}}`})
	client, err := shmd.Dial(ctx, manager.Socket())
	must(t, err)
	defer client.Close()
	_, err = client.Create(ctx, "", 1<<42, nil)
	if e := refused(t, err, shmd.ErrOutOfMemory, ""); e.Int("sizeBytes") != 1<<42 {
		t.Error(e.Parameters)
	}
	first, err := client.Create(ctx, "", 100, nil)
	must(t, err)
	defer first.Close()
	_, err = client.Create(ctx, "", 100, nil)
	e := refused(t, err, shmd.ErrQuotaExceeded, `{"limit":1,"resource":"segments"}`)
	if e.Text("resource") != "segments" || e.Int("limit") != 1 || !errors.Is(err, syscall.EDQUOT) {
		t.Error(e)
	}
	// One connection more than there may be is told so at its first call.
	second, err := shmd.Dial(ctx, manager.Socket())
	must(t, err)
	defer second.Close()
	must(t, second.Call(ctx, "org.varlink.service.GetInfo", nil, nil))
	third, err := shmd.Dial(ctx, manager.Socket())
	must(t, err)
	defer third.Close()
	refused(t, third.Call(ctx, "org.varlink.service.GetInfo", nil, nil), shmd.ErrQuotaExceeded, `{"limit":2,"resource":"connections"}`)
	_, err = client.Watch(ctx, "")
	refused(t, err, shmd.ErrQuotaExceeded, `{"limit":2,"resource":"connections"}`)
}

func TestErrorsOfAdministration(t *testing.T) {
	manager := newManager(t, daemontest.Options{Config: `{}`})
	control, err := shmd.DialControl(ctx, manager.ControlSocket())
	must(t, err)
	defer control.Close()
	client, err := shmd.Dial(ctx, manager.Socket())
	must(t, err)
	defer client.Close()
	refused(t, control.Call(ctx, "io.shmd.Control.Disconnect", map[string]int{"pid": 1}, nil), shmd.ErrNoSuchProcess, `{"pid":1}`)
	must(t, os.WriteFile(filepath.Join(filepath.Dir(manager.Socket()), "shmd.conf"), []byte("{"), 0o644))
	refused(t, control.Call(ctx, "io.shmd.Control.Reload", nil, nil), shmd.ErrInvalidConfiguration, "")
	must(t, control.Call(ctx, "io.shmd.Control.Drain", map[string]bool{"enable": true}, nil))
	_, err = client.Create(ctx, "", 100, nil)
	refused(t, err, shmd.ErrDraining, "{}")
	var status struct{ Draining bool }
	must(t, control.Call(ctx, "io.shmd.Control.GetStatus", struct{}{}, &status))
	if !status.Draining {
		t.Error("the reply has not been read")
	}
	err = control.Call(ctx, "io.shmd.Control.GetStatus", make(chan int), nil)
	if !errors.Is(err, shmd.ErrInvalidArgument) {
		t.Error(err)
	}
}

func TestErrorsOfThisProcess(t *testing.T) {
	client := dial(t)
	for _, number := range []shmd.SysV{-1<<31 - 1, 1 << 32} {
		if _, err := client.Describe(ctx, number); !errors.Is(err, shmd.ErrInvalidArgument) {
			t.Errorf("%d gives %v", int64(number), err)
		}
	}
	_, err := client.Open(ctx, shmd.ID(1), shmd.Read, &shmd.OpenOptions{Wait: 1})
	if !errors.Is(err, shmd.ErrInvalidArgument) {
		t.Error(err)
	}
	_, err = shmd.Dial(ctx, filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, shmd.ErrUnavailable) || !strings.Contains(err.Error(), "$SHMD_SOCKET") {
		t.Error(err)
	}
	_, err = shmd.Dial(ctx, "/"+strings.Repeat("x", 200))
	if !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Error(err)
	}
	closed := dial(t)
	must(t, closed.Close())
	_, watched := closed.Watch(ctx, "")
	_, listed := closed.ListAll(ctx, "")
	for _, err := range []error{closed.Close(), closed.Delete(ctx, shmd.Key("a")), watched, listed} {
		if !errors.Is(err, shmd.ErrClosed) {
			t.Error(err)
		}
	}
}

func newManager(t *testing.T, options daemontest.Options) *daemontest.Manager {
	t.Helper()
	manager, err := daemontest.New(options)
	must(t, err)
	t.Cleanup(manager.Close)
	must(t, manager.Start())
	return manager
}
