package shmd

// Runs the conversations of protocol/vectors through this package's own connections, and the replies of protocol/vectors/client
// through its calls.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const vectors = "../../protocol/vectors"

type step struct {
	Call      any
	Raw       *string
	RawBase64 []byte // encoding/json knows this as base64
	Pad       int
	Reply     any
	Replies   []any
	Fds       int
	Close     bool
}

func (s *step) message(t *testing.T, saved map[string]any) []byte {
	var message []byte
	switch {
	case s.Call != nil:
		text, err := json.Marshal(substituted(s.Call, saved))
		if err != nil {
			t.Fatal(err)
		}
		message = text
	case s.Raw != nil:
		message = []byte(*s.Raw)
	default:
		message = s.RawBase64
	}
	if missing := s.Pad - len(message); missing > 0 {
		message = append(message, bytes.Repeat([]byte(" "), missing)...)
	}
	return message
}

func (s *step) expected() []any {
	if s.Reply != nil {
		return []any{s.Reply}
	}
	return s.Replies
}

func readVector(t *testing.T, path string, vector any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, text, vector)
}

func decode(t *testing.T, text []byte, out any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func filesOf(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectors, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no vectors in %s", vectors)
	}
	return files
}

func TestConversations(t *testing.T) {
	for _, file := range filesOf(t, "*.json") {
		file := file
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { converse(t, file) })
	}
}

func converse(t *testing.T, file string) {
	var vector struct {
		Endpoint string
		Steps    []step
	}
	readVector(t, file, &vector)
	name := segmentsSocket
	if vector.Endpoint == "control" {
		name = controlSocket
	}
	path, err := findSocket(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.release()
	defer func() { closeAll(c.reader.take()) }()
	saved := map[string]any{}
	for i, step := range vector.Steps {
		sent := c.send(step.message(t, saved))
		if step.Close {
			if _, err := c.receive(); err == nil {
				t.Fatalf("step %d: the daemon answers instead of closing", i)
			}
			return
		}
		if sent != nil {
			t.Fatalf("step %d: %v", i, sent)
		}
		takeReplies(t, c, &step, saved, i)
	}
	// Nothing more may have come.
	closing := step{Call: map[string]any{"method": "org.varlink.service.GetInfo"}}
	if err := c.send(closing.message(t, nil)); err != nil {
		t.Fatal(err)
	}
	closing.Reply = map[string]any{"parameters": map[string]any{"product": "shmd"}}
	takeReplies(t, c, &closing, saved, len(vector.Steps))
}

func takeReplies(t *testing.T, c *conn, s *step, saved map[string]any, number int) {
	t.Helper()
	for _, wanted := range s.expected() {
		message, err := c.receive()
		if err != nil {
			t.Fatalf("step %d: %v", number, err)
		}
		var reply map[string]any
		decode(t, message, &reply)
		if err := matchReply(wanted.(map[string]any), reply, saved); err != nil {
			t.Fatalf("step %d: %v in %s", number, err, message)
		}
	}
	descriptors := c.reader.take()
	defer closeAll(descriptors)
	if len(descriptors) != s.Fds {
		t.Fatalf("step %d: %d descriptors came, not %d", number, len(descriptors), s.Fds)
	}
}

func matchReply(wanted, got, saved map[string]any) error {
	for _, name := range []string{"error", "continues"} {
		if _, named := wanted[name]; !named && got[name] != nil {
			return fmt.Errorf("there is %s", name)
		}
	}
	return match(wanted, got, saved, "")
}

func match(wanted, got any, saved map[string]any, where string) error {
	switch pattern := wanted.(type) {
	case map[string]any:
		if kind, special := pattern["$type"]; special {
			return matchType(pattern, kind.(string), got, saved, where)
		}
		if name, special := pattern["$use"]; special {
			return match(saved[name.(string)], got, saved, where)
		}
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no object", where)
		}
		for name, value := range pattern {
			if err := match(value, object[name], saved, where+"/"+name); err != nil {
				return err
			}
		}
		return nil
	case []any:
		array, ok := got.([]any)
		if !ok || len(array) != len(pattern) {
			return fmt.Errorf("%s is not an array of %d", where, len(pattern))
		}
		for i := range pattern {
			if err := match(pattern[i], array[i], saved, fmt.Sprintf("%s/%d", where, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(wanted, got) {
		return fmt.Errorf("%s is %v and not %v", where, got, wanted)
	}
	return nil
}

func matchType(pattern map[string]any, kind string, got any, saved map[string]any, where string) error {
	ok := false
	switch value := got.(type) {
	case json.Number:
		_, err := value.Int64()
		ok = kind == "int" && err == nil
	case string:
		ok = kind == "string"
	case bool:
		ok = kind == "bool"
	case []any:
		ok = kind == "array"
	}
	if !ok {
		return fmt.Errorf("%s is %v and not of type %s", where, got, kind)
	}
	if name, save := pattern["$save"]; save {
		saved[name.(string)] = got
	}
	return nil
}

func substituted(value any, saved map[string]any) any {
	switch value := value.(type) {
	case map[string]any:
		if name, use := value["$use"]; use {
			return saved[name.(string)]
		}
		out := map[string]any{}
		for name, each := range value {
			out[name] = substituted(each, saved)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, each := range value {
			out[i] = substituted(each, saved)
		}
		return out
	}
	return value
}
