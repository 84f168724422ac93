package shmd_test

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"shmd"
)

const stranger, friend = 64321, 64322

func TestOtherUsersGetWhatTheModeAllows(t *testing.T) {
	client := dial(t)
	a := create(t, client, "go/users/a", 100, nil)
	for _, c := range []struct {
		mode   uint32
		access shmd.Access
		said   string
	}{
		{0o600, shmd.Read, "PermissionDenied"},
		{0o604, shmd.Write, "PermissionDenied"},
		{0o606, shmd.Write, "done"},
	} {
		_, err := client.SetAttributes(ctx, shmd.Key("go/users/a"), shmd.Attributes{Mode: shmd.Mode(c.mode)})
		must(t, err)
		if said := helped(t, stranger, "open go/users/a "+string(c.access)); said != c.said {
			t.Errorf("mode %o, %s: %s", c.mode, c.access, said)
		}
	}
	if string(a.Bytes()[:5]) != "other" {
		t.Error("the other has not written")
	}
	if said := helped(t, stranger, "delete go/users/a"); said != "PermissionDenied" {
		t.Error(said)
	}
}

func TestEntriesLetOthersIn(t *testing.T) {
	client := dial(t)
	create(t, client, "go/users/b", 100, &shmd.CreateOptions{ACL: []shmd.AclEntry{
		shmd.AllowUser(friend, shmd.Write), shmd.AllowGroup(1, shmd.Read),
	}})
	if said := helped(t, friend, "open go/users/b write"); said != "done" {
		t.Error(said)
	}
	if said := helped(t, stranger, "open go/users/b read"); said != "PermissionDenied" {
		t.Error(said)
	}
	info, err := client.SetAttributes(ctx, shmd.Key("go/users/b"), shmd.Attributes{ACL: []shmd.AclEntry{}})
	if err != nil || len(info.ACL) != 0 {
		t.Fatal(info, err)
	}
	if said := helped(t, friend, "open go/users/b write"); said != "PermissionDenied" {
		t.Error(said)
	}
}

func TestWhoCreatesOwns(t *testing.T) {
	client := dial(t)
	if said := helped(t, stranger, "create go/users/c"); said != "64321 64321 true" {
		t.Error(said)
	}
	info, err := client.SetAttributes(ctx, shmd.Key("go/users/c"), shmd.Attributes{OwnerUID: shmd.Value[uint32](friend)})
	if err != nil || info.OwnerUID != friend || info.CreatorUID != stranger {
		t.Fatal(info, err)
	}
	if said := helped(t, friend, "delete go/users/c"); said != "done" {
		t.Error(said)
	}
	if said := helped(t, stranger, "create user/1/x"); said != "PermissionDenied" {
		t.Error(said)
	}
}

func TestAChangeOfUserConnectsAnew(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be several users")
	}
	client := dial(t)
	said := helped(t, 0, "become 64321 go/users/d")
	for _, key := range []shmd.Key{"go/users/d/before", "go/users/d/after"} {
		must(t, client.Delete(ctx, key))
	}
	if said != "0 64321 PermissionDenied done" {
		t.Error(said)
	}
}

func TestSegmentsOfAProcessEndWithIt(t *testing.T) {
	client := dial(t)
	watch, err := client.Watch(ctx, "go/users/e")
	must(t, err)
	defer watch.Close()
	command := another(t, 0, "hold go/users/e")
	in, err := command.StdinPipe()
	must(t, err)
	out, err := command.StdoutPipe()
	must(t, err)
	must(t, command.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "done" {
		t.Fatal(line, err)
	}
	must(t, command.Process.Kill())
	in.Close()
	command.Wait()
	for {
		event, err := watch.Next(ctx)
		must(t, err)
		if event.Kind == shmd.EventExpired {
			break
		}
	}
	if _, err := client.Describe(ctx, shmd.Key("go/users/e")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestPermissionDeniedIsAnErrorOfPackageFs(t *testing.T) {
	err := error(&shmd.Error{Name: shmd.ErrPermissionDenied})
	if !errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
}
