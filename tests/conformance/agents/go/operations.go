package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"time"

	"shmd"
)

type agent struct {
	client   *shmd.Client
	segments map[int]*shmd.Segment
	watches  map[int]*shmd.Watch
	last     int
}

type operation func(a *agent, ctx context.Context, r *request) (object, error)

var operations map[string]operation

func init() {
	operations = map[string]operation{
		"create": (*agent).create, "open": (*agent).open, "openMany": (*agent).openMany,
		"write": (*agent).write, "read": (*agent).read,
		"describe": (*agent).describe, "list": (*agent).list,
		"publish": (*agent).publish, "seal": (*agent).seal, "resize": (*agent).resize, "remap": (*agent).remap,
		"setAttributes": (*agent).setAttributes, "renew": (*agent).renew,
		"delete": (*agent).delete, "close": (*agent).close,
		"watch": (*agent).watch, "nextEvent": (*agent).nextEvent, "unwatch": (*agent).unwatch,
		"capabilities": (*agent).capabilities,
	}
}

func (a *agent) dialed(ctx context.Context) (*shmd.Client, error) {
	if a.client == nil {
		client, err := shmd.Dial(ctx, "")
		if err != nil {
			return nil, err
		}
		a.client = client
	}
	return a.client, nil
}

func (a *agent) kept(segment *shmd.Segment) object {
	a.last++
	a.segments[a.last] = segment
	return object{"handle": a.last, "segment": segment.Info()}
}

func (a *agent) segment(r *request) (*shmd.Segment, error) {
	segment := a.segments[r.Handle]
	if segment == nil {
		return nil, fmt.Errorf("there is no handle %d", r.Handle)
	}
	return segment, nil
}

func refOf(key any) (shmd.Ref, error) {
	switch key := key.(type) {
	case string:
		return shmd.Key(key), nil
	case json.Number:
		number, err := key.Int64()
		return shmd.SysV(number), err
	}
	return nil, fmt.Errorf("%v is no key", key)
}

func (r *request) ref() (shmd.Ref, error) {
	if r.ID != nil {
		return shmd.ID(*r.ID), nil
	}
	return refOf(r.Key)
}

func (r *request) newKey() (shmd.Key, error) {
	if r.Key == nil {
		return "", nil
	}
	ref, err := refOf(r.Key)
	if err != nil {
		return "", err
	}
	if number, is := ref.(shmd.SysV); is {
		return number.Key(), nil
	}
	return ref.(shmd.Key), nil
}

func usec(number int64) time.Duration {
	if number > math.MaxInt64/1000 {
		return shmd.WaitForever
	}
	return time.Duration(number) * time.Microsecond
}

func (a *agent) create(ctx context.Context, r *request) (object, error) {
	client, err := a.dialed(ctx)
	if err != nil {
		return nil, err
	}
	key, err := r.newKey()
	if err != nil {
		return nil, err
	}
	segment, err := client.Create(ctx, key, r.SizeBytes, &shmd.CreateOptions{
		Mode: r.Mode, OpenExisting: r.CreateMode == "any", Access: r.Access, Reserve: r.Reserve, Staged: r.Staged,
		Lifetime: shmd.Lifetime(r.Lifetime), Lease: usec(r.LeaseUsec), Evictable: r.Evictable != nil && *r.Evictable,
		Unsealable: r.Sealable != nil && !*r.Sealable, Capacity: r.CapacityBytes, Labels: r.Labels, ACL: r.ACL,
		HugePages: shmd.HugePages(r.HugePages), NUMANodes: r.NUMANodes, PlacementFallback: r.PlacementFallback,
	})
	if err != nil {
		return nil, err
	}
	answer := a.kept(segment)
	answer["created"] = segment.Created()
	return answer, nil
}

func (a *agent) open(ctx context.Context, r *request) (object, error) {
	client, err := a.dialed(ctx)
	if err != nil {
		return nil, err
	}
	ref, err := r.ref()
	if err != nil {
		return nil, err
	}
	segment, err := client.Open(ctx, ref, r.Access, &shmd.OpenOptions{Wait: usec(r.WaitUsec), Sealed: r.Sealed})
	if err != nil {
		return nil, err
	}
	return a.kept(segment), nil
}

func (a *agent) openMany(ctx context.Context, r *request) (object, error) {
	client, err := a.dialed(ctx)
	if err != nil {
		return nil, err
	}
	refs := make([]shmd.Ref, len(r.Keys))
	for i, key := range r.Keys {
		if refs[i], err = refOf(key); err != nil {
			return nil, err
		}
	}
	opened, err := client.OpenMany(ctx, refs, r.Access)
	if err != nil {
		return nil, err
	}
	results := make([]object, len(opened))
	for i, each := range opened {
		if each.Err != nil {
			results[i] = failure(each.Err)
		} else {
			results[i] = a.kept(each.Segment)
		}
	}
	return object{"results": results}, nil
}

func (a *agent) write(ctx context.Context, r *request) (object, error) {
	segment, err := a.segment(r)
	if err != nil {
		return nil, err
	}
	data, err := hex.DecodeString(r.Hex)
	if err == nil {
		_, err = segment.WriteAt(data, r.Offset)
	}
	return object{}, err
}

func (a *agent) read(ctx context.Context, r *request) (object, error) {
	segment, err := a.segment(r)
	if err != nil {
		return nil, err
	}
	data := make([]byte, r.Length)
	err = segment.View(func(memory []byte) error {
		if r.Offset < 0 || r.Offset > int64(len(memory)) || r.Length > int64(len(memory))-r.Offset {
			return shmd.ErrOutOfRange
		}
		copy(data, memory[r.Offset:])
		return nil
	})
	return object{"hex": hex.EncodeToString(data)}, err
}

func (a *agent) list(ctx context.Context, r *request) (object, error) {
	client, err := a.dialed(ctx)
	if err != nil {
		return nil, err
	}
	segments, err := client.ListAll(ctx, r.Prefix)
	return object{"segments": segments}, err
}

// changed answers with what a segment is after a call on it.
func (a *agent) changed(r *request, change func(*shmd.Segment) error) (object, error) {
	segment, err := a.segment(r)
	if err == nil {
		err = change(segment)
	}
	if err != nil {
		return nil, err
	}
	return object{"segment": segment.Info()}, nil
}

func (a *agent) publish(ctx context.Context, r *request) (object, error) {
	key, err := r.newKey()
	if err != nil {
		return nil, err
	}
	return a.changed(r, func(s *shmd.Segment) error { return s.Publish(ctx, key, r.Replace) })
}

func (a *agent) seal(ctx context.Context, r *request) (object, error) {
	return a.changed(r, func(s *shmd.Segment) error { return s.Seal(ctx) })
}

func (a *agent) resize(ctx context.Context, r *request) (object, error) {
	return a.changed(r, func(s *shmd.Segment) error { return s.Resize(ctx, r.SizeBytes) })
}

func (a *agent) remap(ctx context.Context, r *request) (object, error) {
	return a.changed(r, func(s *shmd.Segment) error { return s.Remap(ctx) })
}

// named makes a call about the segment that the request names.
func (a *agent) named(ctx context.Context, r *request, act func(*shmd.Client, shmd.Ref) (*shmd.Info, error)) (object, error) {
	client, err := a.dialed(ctx)
	if err != nil {
		return nil, err
	}
	ref, err := r.ref()
	if err != nil {
		return nil, err
	}
	info, err := act(client, ref)
	if info == nil {
		return object{}, err
	}
	return object{"segment": info}, err
}

func (a *agent) describe(ctx context.Context, r *request) (object, error) {
	return a.named(ctx, r, func(c *shmd.Client, ref shmd.Ref) (*shmd.Info, error) { return c.Describe(ctx, ref) })
}

func (a *agent) renew(ctx context.Context, r *request) (object, error) {
	return a.named(ctx, r, func(c *shmd.Client, ref shmd.Ref) (*shmd.Info, error) { return c.Renew(ctx, ref) })
}

func (a *agent) delete(ctx context.Context, r *request) (object, error) {
	return a.named(ctx, r, func(c *shmd.Client, ref shmd.Ref) (*shmd.Info, error) { return nil, c.Delete(ctx, ref) })
}

func (a *agent) setAttributes(ctx context.Context, r *request) (object, error) {
	change := shmd.Attributes{
		Mode: r.Mode, OwnerUID: r.OwnerUID, OwnerGID: r.OwnerGID, Lifetime: shmd.Lifetime(r.Lifetime), Lease: usec(r.LeaseUsec),
		Evictable: r.Evictable, Labels: r.Labels, RemoveLabels: r.RemoveLabels, ACL: r.ACL,
	}
	return a.named(ctx, r, func(c *shmd.Client, ref shmd.Ref) (*shmd.Info, error) {
		return c.SetAttributes(ctx, ref, change)
	})
}

// close keeps the handle, so that the suite sees what a closed segment gives.
func (a *agent) close(ctx context.Context, r *request) (object, error) {
	segment, err := a.segment(r)
	if err == nil {
		err = segment.Close()
	}
	return object{}, err
}

func (a *agent) watch(ctx context.Context, r *request) (object, error) {
	client, err := a.dialed(ctx)
	if err != nil {
		return nil, err
	}
	watch, err := client.Watch(ctx, r.Prefix)
	if err != nil {
		return nil, err
	}
	a.last++
	a.watches[a.last] = watch
	return object{"watch": a.last}, nil
}

func (a *agent) watching(r *request) (*shmd.Watch, error) {
	watch := a.watches[r.Watch]
	if watch == nil {
		return nil, fmt.Errorf("there is no watch %d", r.Watch)
	}
	return watch, nil
}

func (a *agent) nextEvent(ctx context.Context, r *request) (object, error) {
	watch, err := a.watching(r)
	if err != nil {
		return nil, err
	}
	event, err := watch.Next(ctx)
	if err != nil {
		return nil, err
	}
	answer := object{"event": event.Kind}
	if event.Segment != nil {
		answer["segment"] = event.Segment
	}
	return answer, nil
}

func (a *agent) unwatch(ctx context.Context, r *request) (object, error) {
	watch, err := a.watching(r)
	if err == nil {
		err = watch.Close()
	}
	return object{}, err
}

func (a *agent) capabilities(ctx context.Context, r *request) (object, error) {
	return object{"language": "go", "version": runtime.Version(), "missing": []string{}}, nil
}
