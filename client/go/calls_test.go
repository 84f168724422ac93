package shmd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"shmd"
	"shmd/internal/daemontest"
)

func TestCreateWithAllOptions(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "go/calls/all", 5000, &shmd.CreateOptions{
		Mode: shmd.Mode(0o640), Reserve: shmd.ReservePopulate, Lifetime: shmd.LifetimeLease, Lease: time.Hour, Evictable: true,
		Unsealable: true, Capacity: 10000, Labels: map[string]string{"codec": "h264", "größe": "…"},
		ACL:       []shmd.AclEntry{shmd.AllowUser(7, shmd.Read)},
		HugePages: shmd.HugeTransparent, NUMANodes: []uint32{0}, PlacementFallback: true,
	})
	info := segment.Info()
	want := shmd.Info{
		ID: segment.ID(), Key: "go/calls/all", Size: 5000, Capacity: 10000, Mode: 0o640, OwnerUID: uint32(os.Geteuid()),
		OwnerGID: uint32(os.Getegid()), CreatorUID: uint32(os.Geteuid()), CreatorGID: uint32(os.Getegid()),
		CreatorPID: int32(os.Getpid()), State: shmd.StateLive, Evictable: true, Attachments: 1, Created: info.Created,
		Attached: info.Attached, Changed: info.Changed, Expires: info.Expires, Lifetime: shmd.LifetimeLease, Lease: time.Hour,
		Labels: map[string]string{"codec": "h264", "größe": "…"}, ACL: []shmd.AclEntry{shmd.AllowUser(7, shmd.Read)},
		HugePages: info.HugePages, NUMANodes: info.NUMANodes,
	}
	if !reflect.DeepEqual(*info, want) {
		t.Errorf("it is %+v", *info)
	}
	if age := time.Since(info.Created); age < 0 || age > time.Minute || info.Expires.Sub(info.Created) < 59*time.Minute ||
		!info.Detached.IsZero() {
		t.Errorf("its times are %+v", *info)
	}
	described, err := client.Describe(ctx, shmd.ID(segment.ID()))
	must(t, err)
	if late := described.Expires.Sub(info.Expires); late.Abs() > time.Minute { // two clocks are read for it, one after the other
		t.Errorf("it expires at %v", described.Expires)
	}
	described.Expires = info.Expires
	if !reflect.DeepEqual(described, info) {
		t.Errorf("Describe gives %+v", described)
	}
	if !segment.Created() || segment.Access() != shmd.Write || segment.Attachment() == 0 || segment.Size() != 5000 {
		t.Error("the segment tells something else")
	}
}

func TestInfoAsJSON(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "go/calls/json", 100, &shmd.CreateOptions{Labels: map[string]string{"a": "b"}})
	text, err := json.Marshal(segment.Info())
	must(t, err)
	out, err := daemontest.Run(exec.Command(shmdctl(t), "--socket", daemon.Socket(), "--json", "stat", "go/calls/json"))
	must(t, err)
	var ours, theirs map[string]any
	must(t, json.Unmarshal(text, &ours))
	must(t, json.Unmarshal([]byte(out), &theirs))
	for name, value := range theirs {
		if !reflect.DeepEqual(ours[name], value) {
			t.Errorf("%s is %v and not %v", name, ours[name], value)
		}
	}
	var back shmd.Info
	must(t, json.Unmarshal(text, &back))
	if !reflect.DeepEqual(back, *segment.Info()) {
		t.Errorf("it reads back as %+v", back)
	}
	for _, bad := range []string{"7", "{}", strings.Replace(string(text), `"id"`, `"di"`, 1)} {
		if json.Unmarshal([]byte(bad), &back) == nil {
			t.Errorf("%s is taken for a segment", bad)
		}
	}
}

func shmdctl(t *testing.T) string {
	path := os.Getenv("SHMDCTL")
	if path == "" {
		t.Skip("$SHMDCTL is not set")
	}
	return path
}

func TestIntegersAreSystemVKeys(t *testing.T) {
	client := dial(t)
	for number, key := range map[shmd.SysV]shmd.Key{
		0xff3: "sysv:0x00000ff3", -1: "sysv:0xffffffff", 0xffffffff: "sysv:0xffffffff", 0: "sysv:0x00000000",
		-1 << 31: "sysv:0x80000000", 1 << 32: "",
	} {
		if number.Key() != key {
			t.Errorf("%d is %s", int64(number), string(number.Key()))
		}
	}
	segment := create(t, client, shmd.SysV(0xff3).Key(), 100, nil)
	opened, err := client.Open(ctx, shmd.SysV(0xff3), shmd.Read, nil)
	must(t, err)
	defer opened.Close()
	if opened.ID() != segment.ID() || opened.Key() != "sysv:0x00000ff3" || opened.Created() {
		t.Error(opened.Info())
	}
}

func TestFreshKeysAndIds(t *testing.T) {
	client := dial(t)
	a, b := create(t, client, "", 1, nil), create(t, client, "", 1, nil)
	if a.Key() == "" || a.Key() == b.Key() || a.ID() == b.ID() {
		t.Error(a, b)
	}
	again, err := client.Create(ctx, shmd.Key(a.Key()), 1, &shmd.CreateOptions{OpenExisting: true, Access: shmd.Read})
	must(t, err)
	defer again.Close()
	if again.Created() || again.ID() != a.ID() || again.Access() != shmd.Read {
		t.Error(again.Info())
	}
}

func TestPublishAndReplace(t *testing.T) {
	client := dial(t)
	key := shmd.Key("go/calls/published")
	first := create(t, client, key, 1, &shmd.CreateOptions{Staged: true})
	if _, err := client.Describe(ctx, key); !errors.Is(err, shmd.ErrNoSuchSegment) || first.Info().State != shmd.StateStaged {
		t.Fatal(err, first.Info())
	}
	must(t, first.Publish(ctx, "", false))
	if first.Key() != string(key) || first.Info().State != shmd.StateLive {
		t.Fatal(first.Info())
	}
	second := create(t, client, "", 1, &shmd.CreateOptions{Staged: true})
	refused(t, second.Publish(ctx, key, false), shmd.ErrSegmentExists, "")
	must(t, second.Publish(ctx, key, true))
	info, err := client.Describe(ctx, key)
	if err != nil || info.ID != second.ID() {
		t.Fatal(info, err)
	}
	first.Bytes()[0] = 1 // its holders keep it
	must(t, first.Remap(ctx))
	if first.Info().State != shmd.StateDeleted || first.Key() != "" {
		t.Fatal(first.Info())
	}
}

func TestSealKeepsTheAddress(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "go/calls/sealed", 100, nil)
	memory := segment.Bytes()
	memory[0] = 1
	other, err := client.Open(ctx, shmd.Key("go/calls/sealed"), shmd.Write, nil)
	must(t, err)
	refused(t, segment.Seal(ctx), shmd.ErrSegmentBusy, "")
	memory[0] = 2
	must(t, other.Close())
	must(t, segment.Seal(ctx))
	if memory[0] != 2 || &segment.Bytes()[0] != &memory[0] || segment.Access() != shmd.Read || !segment.Info().Sealed {
		t.Fatal("it is another segment")
	}
	if faults(func() { memory[0] = 3 }) == 0 {
		t.Fatal("it can be written")
	}
	if _, err := segment.WriteAt([]byte{1}, 0); !errors.Is(err, shmd.ErrReadOnly) {
		t.Fatal(err)
	}
	must(t, segment.Seal(ctx)) // once more changes nothing
	sealed, err := client.Open(ctx, shmd.Key("go/calls/sealed"), shmd.Read, &shmd.OpenOptions{Sealed: true})
	must(t, err)
	must(t, sealed.Close())
	if n := attachments(t, client, "go/calls/sealed"); n != 1 {
		t.Fatalf("%d attachments", n)
	}
	apart := create(t, client, "go/calls/apart", 100, nil)
	must(t, apart.Close())
	info, err := client.Seal(ctx, shmd.Key("go/calls/apart"))
	if err != nil || !info.Sealed {
		t.Fatal(info, err)
	}
	must(t, client.Delete(ctx, shmd.Key("go/calls/apart")))
}

func TestResizeAndRemap(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "go/calls/resized", 100, &shmd.CreateOptions{Capacity: 10000})
	other := reader(t, dial(t), "go/calls/resized")
	must(t, segment.Resize(ctx, 9000))
	segment.Bytes()[8999] = 7
	if len(other.Bytes()) != 100 || other.Info().Capacity != 10000 {
		t.Fatal(other.Info())
	}
	must(t, other.Remap(ctx))
	if len(other.Bytes()) != 9000 || other.Bytes()[8999] != 7 {
		t.Fatal("it has not grown")
	}
	e := refused(t, segment.Resize(ctx, 50), shmd.ErrSegmentBusy, "")
	if len(e.Holders()) != 1 || e.Holders()[0].Attachment != other.Attachment() {
		t.Fatal(e.Holders())
	}
	must(t, other.Close())
	reaches(t, client, "go/calls/resized", 1)
	info, err := client.Resize(ctx, shmd.Key("go/calls/resized"), 50)
	if err != nil || info.Size != 50 || segment.Size() != 9000 {
		t.Fatal(info, err)
	}
	must(t, segment.Remap(ctx))
	if _, err := segment.ReadAt(make([]byte, 1), 50); segment.Size() != 50 || err == nil {
		t.Fatal(segment.Size(), err)
	}
}

func TestAttributesAndLeases(t *testing.T) {
	client := dial(t)
	segment := create(t, client, "go/calls/attributes", 100, &shmd.CreateOptions{Labels: map[string]string{"a": "1", "b": "2"}})
	info, err := client.SetAttributes(ctx, shmd.ID(segment.ID()), shmd.Attributes{
		Mode: shmd.Mode(0), Lifetime: shmd.LifetimeLease, Lease: 2 * time.Second, Evictable: shmd.Value(true),
		Labels: map[string]string{"c": "3"}, RemoveLabels: []string{"a"}, ACL: []shmd.AclEntry{shmd.AllowGroup(5, shmd.Write)},
	})
	must(t, err)
	if info.Mode != 0 || info.Lifetime != shmd.LifetimeLease || info.Lease != 2*time.Second || !info.Evictable ||
		!reflect.DeepEqual(info.Labels, map[string]string{"b": "2", "c": "3"}) ||
		!reflect.DeepEqual(info.ACL, []shmd.AclEntry{shmd.AllowGroup(5, shmd.Write)}) {
		t.Fatalf("it is %+v", info)
	}
	renewed, err := client.Renew(ctx, shmd.Key("go/calls/attributes"))
	if err != nil || renewed.Expires.Before(info.Expires) {
		t.Fatal(renewed, err)
	}
	must(t, segment.Renew(ctx))
}

func TestManyAtOnce(t *testing.T) {
	client := dial(t)
	var wanted []shmd.NewSegment
	var refs []shmd.Ref
	for i := 0; i < 250; i++ {
		key := shmd.Key(fmt.Sprintf("go/calls/many/%d", i))
		wanted = append(wanted, shmd.NewSegment{Key: key, Size: int64(i + 1), Options: &shmd.CreateOptions{Lifetime: shmd.LifetimeAttached}})
		refs = append(refs, key)
	}
	before := daemontest.Descriptors()
	made, err := client.CreateMany(ctx, wanted)
	must(t, err)
	_, err = client.CreateMany(ctx, []shmd.NewSegment{{Size: 1}, {Key: "go/calls/many/7", Size: 1}})
	refused(t, err, shmd.ErrSegmentExists, "")
	refs = append(refs, shmd.Key("go/calls/many/none"))
	opened, err := client.OpenMany(ctx, append(refs, shmd.ID(made[3].ID())), shmd.Read)
	must(t, err)
	for i, each := range opened {
		switch {
		case i == 250:
			refused(t, each.Err, shmd.ErrNoSuchSegment, "")
		case i == 251 && each.Segment.ID() != made[3].ID(), i < 250 && each.Segment.ID() != made[i].ID(),
			i < 250 && each.Segment.Size() != int64(i+1):
			t.Fatal(i, each.Segment.Info())
		}
	}
	for i, each := range made {
		each.Bytes()[i] = byte(i)
		if opened[i].Segment.Bytes()[i] != byte(i) {
			t.Fatal("it is other memory")
		}
		must(t, each.Close())
	}
	for i, each := range opened {
		if i != 250 {
			must(t, each.Segment.Close())
		}
	}
	if left, err := client.ListAll(ctx, "go/calls/many/"); err != nil || len(left) != 0 {
		t.Fatal(left, err)
	}
	if after := daemontest.Descriptors(); after > before {
		t.Fatalf("%d descriptors are left", after-before)
	}
}

func TestListInOrder(t *testing.T) {
	client := dial(t)
	for _, key := range []shmd.Key{"go/calls/list/b", "go/calls/list/a", "go/calls/list/c"} {
		create(t, client, key, 1, nil)
	}
	var keys []string
	client.List(ctx, "go/calls/list/")(func(info *shmd.Info, err error) bool {
		must(t, err)
		must(t, client.Call(ctx, "org.varlink.service.GetInfo", nil, nil)) // the loop may make calls
		keys = append(keys, info.Key[len("go/calls/list/"):])
		return len(keys) < 2
	})
	if !reflect.DeepEqual(keys, []string{"b", "a"}) {
		t.Fatal(keys)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	failures := 0
	client.List(ended, "")(func(info *shmd.Info, err error) bool {
		if info != nil || !errors.Is(err, context.Canceled) {
			t.Error(info, err)
		}
		failures++
		return true
	})
	if failures != 1 {
		t.Error(failures)
	}
	var replies int
	must(t, client.CallMany(ctx, "io.shmd.Segments.List", map[string]string{"prefix": "go/calls/list/"}, func(json.RawMessage) error {
		replies++
		return nil
	}))
	if replies != 3 {
		t.Error(replies)
	}
}

func TestWaitForAKey(t *testing.T) {
	client := dial(t)
	_, err := client.Open(ctx, shmd.Key("go/calls/never"), shmd.Read, &shmd.OpenOptions{Wait: time.Millisecond})
	refused(t, err, shmd.ErrNoSuchSegment, `{"key":"go/calls/never"}`)
	opened := make(chan *shmd.Segment)
	go func() {
		segment, err := client.Open(ctx, shmd.Key("go/calls/late"), shmd.Read, &shmd.OpenOptions{Wait: time.Hour})
		if err != nil {
			t.Error(err)
		}
		opened <- segment
	}()
	late := create(t, client, "go/calls/late", 100, nil) // the client is free meanwhile
	segment := <-opened
	if segment == nil || segment.ID() != late.ID() {
		t.Fatal("it is another one")
	}
	must(t, segment.Close())
	reaches(t, client, "go/calls/late", 1)
}

func TestSegmentsStayOpenWhenTheClientIsClosed(t *testing.T) {
	client, observer := dial(t), dial(t)
	segment := create(t, client, "go/calls/outlives", 100, &shmd.CreateOptions{Capacity: 200})
	must(t, client.Close())
	must(t, segment.Resize(ctx, 150))
	segment.Bytes()[149] = 1
	if _, err := client.Describe(ctx, shmd.Key("go/calls/outlives")); !errors.Is(err, shmd.ErrClosed) {
		t.Fatal(err)
	}
	if n := attachments(t, observer, "go/calls/outlives"); n != 1 {
		t.Fatalf("%d attachments", n)
	}
	must(t, segment.Delete(ctx))
	before := daemontest.Descriptors()
	must(t, segment.Close())
	if daemontest.Descriptors() >= before {
		t.Fatal("the connection is still open")
	}
	if _, err := observer.Describe(ctx, shmd.Key("go/calls/outlives")); !errors.Is(err, shmd.ErrNoSuchSegment) {
		t.Fatal(err)
	}
}
