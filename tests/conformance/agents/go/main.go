// The Go client's agent for the conformance suite: one JSON object a line in, one out, until the end of input. It uses
// nothing but the client's public interface.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"

	"shmd"
)

// request has the fields of all operations.
type request struct {
	Op                string            `json:"op"`
	Key               any               `json:"key"`
	Keys              []any             `json:"keys"`
	ID                *int64            `json:"id"`
	Handle            int               `json:"handle"`
	Watch             int               `json:"watch"`
	SizeBytes         int64             `json:"sizeBytes"`
	Mode              *uint32           `json:"mode"`
	CreateMode        string            `json:"createMode"`
	Access            shmd.Access       `json:"access"`
	Reserve           shmd.Reserve      `json:"reserve"`
	Staged            bool              `json:"staged"`
	Lifetime          string            `json:"lifetime"`
	LeaseUsec         int64             `json:"leaseUsec"`
	Evictable         *bool             `json:"evictable"`
	Sealable          *bool             `json:"sealable"`
	Labels            map[string]string `json:"labels"`
	RemoveLabels      []string          `json:"removeLabels"`
	CapacityBytes     int64             `json:"capacityBytes"`
	HugePages         string            `json:"hugePages"`
	NUMANodes         []uint32          `json:"numaNodes"`
	PlacementFallback bool              `json:"placementFallback"`
	ACL               []shmd.AclEntry   `json:"acl"`
	OwnerUID          *uint32           `json:"ownerUid"`
	OwnerGID          *uint32           `json:"ownerGid"`
	WaitUsec          int64             `json:"waitUsec"`
	Sealed            bool              `json:"sealed"`
	Offset            int64             `json:"offset"`
	Length            int64             `json:"length"`
	Hex               string            `json:"hex"`
	Replace           bool              `json:"replace"`
	Prefix            string            `json:"prefix"`
}

type object map[string]any

func main() {
	a := &agent{segments: map[int]*shmd.Segment{}, watches: map[int]*shmd.Watch{}}
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			encoder := json.NewEncoder(out)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(a.answer(line)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			out.Flush()
		}
		if err != nil {
			return
		}
	}
}

func (a *agent) answer(line []byte) object {
	var r request
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&r); err != nil {
		return failure(err)
	}
	act, known := operations[r.Op]
	if !known {
		return failure(fmt.Errorf("there is no operation %q", r.Op))
	}
	result, err := act(a, context.Background(), &r)
	if err != nil {
		return failure(err)
	}
	return object{"ok": result}
}

// Errors that arise in the client, by the names that all languages' agents have for them.
var local = []struct {
	err  error
	name string
}{
	{shmd.ErrClosed, "Closed"},
	{shmd.ErrReadOnly, "ReadOnly"},
	{shmd.ErrFault, "Fault"},
	{shmd.ErrOutOfRange, "OutOfRange"},
	{shmd.ErrInvalidArgument, "InvalidArgument"},
	{shmd.ErrUnavailable, "Unavailable"},
	{shmd.ErrDisconnected, "Disconnected"},
}

func failure(err error) object {
	said := object{"name": "", "parameters": object{}, "class": reflect.TypeOf(err).String(), "message": err.Error()}
	var refused *shmd.Error
	var broken *shmd.ProtocolError
	switch {
	case errors.As(err, &refused):
		said["name"], said["parameters"], said["class"] = refused.Name, refused.Parameters, "*shmd.Error"
	case errors.As(err, &broken):
		said["name"], said["class"] = "Protocol", "*shmd.ProtocolError"
	default:
		for _, each := range local {
			if errors.Is(err, each.err) {
				said["name"], said["class"] = each.name, "shmd.Err"+each.name
			}
		}
	}
	return object{"error": said}
}
