package shmd

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"shmd/internal/daemontest"
)

type clientVector struct {
	Call  map[string]any
	Reply map[string]any
	Fds   int
	Cases []clientCase
}

type clientCase struct {
	Description string
	Set         map[string]any
	Remove      []string
	Raw         *string
	Fds         *int
	Outcome     string
	Error       ErrorName
}

func TestRepliesForClients(t *testing.T) {
	for _, file := range filesOf(t, "client/*.json") {
		var vector clientVector
		readVector(t, file, &vector)
		for _, each := range vector.Cases {
			each := each
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+each.Description, func(t *testing.T) {
				// What other tests have forgotten is closed at any time: what leaks does so every time.
				for try := 1; !answerOne(t, &vector, &each); try++ {
					if try == 3 {
						t.Error("descriptors or mappings are left")
						break
					}
				}
			})
		}
	}
}

func (c *clientCase) reply(t *testing.T, reply map[string]any) string {
	if c.Raw != nil {
		return *c.Raw
	}
	text, err := json.Marshal(reply)
	if err != nil {
		t.Fatal(err)
	}
	var changed any
	decode(t, text, &changed)
	for pointer, value := range c.Set {
		object, name := pointed(changed, pointer)
		object[name] = value
	}
	for _, pointer := range c.Remove {
		object, name := pointed(changed, pointer)
		delete(object, name)
	}
	text, err = json.Marshal(changed)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func pointed(value any, pointer string) (map[string]any, string) {
	parts := strings.Split(pointer, "/")[1:]
	for _, part := range parts[:len(parts)-1] {
		value = value.(map[string]any)[part]
	}
	return value.(map[string]any), parts[len(parts)-1]
}

// answerOne has one case answered. clean: no descriptor and no mapping is left of it.
func answerOne(t *testing.T, vector *clientVector, each *clientCase) (clean bool) {
	fds := vector.Fds
	if each.Fds != nil {
		fds = *each.Fds
	}
	passed := memory(t, 4097, fds)
	f := newFake(t)
	client, err := Dial(context.Background(), f.path)
	if err != nil {
		t.Fatal(err)
	}
	f.accept()
	before, mapped := daemontest.Descriptors(), daemontest.Mapped("memfd:")
	closed := make(chan bool)
	go func() {
		if err := match(any(vector.Call), any(f.message()), nil, ""); err != nil {
			t.Error("the call: ", err)
		}
		f.answer(each.reply(t, vector.Reply), passed...)
		for {
			message := f.message()
			if message == nil {
				closed <- true
				return
			}
			if message["method"] == "org.varlink.service.GetInfo" {
				f.answer(`{"parameters":{}}`)
				closed <- false
				return
			}
		}
	}()
	checkOutcome(t, each, callOf(t, client, vector.Call))
	if each.Outcome != "broken" {
		if err := client.Call(context.Background(), "org.varlink.service.GetInfo", nil, nil); err != nil {
			t.Errorf("the connection does not go on: %v", err)
		}
	}
	if broken := <-closed; broken != (each.Outcome == "broken") {
		t.Errorf("the connection is closed: %v", broken)
	}
	left := daemontest.Descriptors() - before
	if each.Outcome == "broken" {
		left++ // the connection
	}
	clean = left == 0 && daemontest.Mapped("memfd:") == mapped
	client.Close()
	return clean
}

func callOf(t *testing.T, client *Client, wanted map[string]any) error {
	key := Key(wanted["parameters"].(map[string]any)["key"].(string))
	switch wanted["method"] {
	case "io.shmd.Segments.Create":
		segment, err := client.Create(context.Background(), key, 4097, nil)
		if err == nil {
			segment.Bytes()[4096] = 1
			// Its addresses stay, without memory.
			if err := segment.Close(); err != nil {
				t.Error(err)
			}
		}
		return err
	case "io.shmd.Segments.Describe":
		_, err := client.Describe(context.Background(), key)
		return err
	case "io.shmd.Segments.Delete":
		return client.Delete(context.Background(), key)
	}
	t.Fatalf("there is no call for %v", wanted)
	return nil
}

func checkOutcome(t *testing.T, each *clientCase, err error) {
	var refused *Error
	var broken *ProtocolError
	switch each.Outcome {
	case "value":
		if err != nil {
			t.Errorf("it fails: %v", err)
		}
	case "error":
		if !errors.As(err, &refused) || refused.Name != each.Error || !errors.Is(err, each.Error) || refused.Parameters == nil {
			t.Errorf("it gives %v", err)
		}
	case "broken":
		if !errors.As(err, &broken) || broken.Op == "" {
			t.Errorf("it gives %v", err)
		}
	default:
		t.Errorf("there is no outcome %s", each.Outcome)
	}
}
