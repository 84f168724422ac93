package shmd

import (
	"context"
	"errors"
	"testing"
	"time"
)

const grantText = `{"parameters":{"segment":{"id":7,"key":"a","sizeBytes":100,"mode":384,"ownerUid":0,"ownerGid":0,` +
	`"creatorUid":0,"creatorGid":0,"creatorPid":1,"state":"live","sealed":false,"attachments":1,"createdUsec":1,` +
	`"changedUsec":1,"evictable":false,"labels":{},"lifetime":"persistent","capacityBytes":100,"hugePages":"none"},` +
	`"created":CREATED,"attachment":9,"fileDescriptor":0}}`

func dialFake(t *testing.T, f *fake) *Client {
	client, err := Dial(context.Background(), f.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	f.accept()
	return client
}

func expectOneway(t *testing.T, f *fake, method, parameter string, value string) {
	t.Helper()
	message := f.message()
	parameters, _ := message["parameters"].(map[string]any)
	got, _ := parameters[parameter].(interface{ String() string })
	if message["method"] != segmentsInterface+method || message["oneway"] != true || got == nil || got.String() != value {
		t.Fatalf("it sends %v", message)
	}
}

func TestACancelledCallIsUndone(t *testing.T) {
	for _, c := range []struct {
		name    string
		call    func(context.Context, *Client) (*Segment, error)
		created bool
	}{
		{"create", func(ctx context.Context, client *Client) (*Segment, error) {
			return client.Create(ctx, "a", 100, nil)
		}, true},
		{"open", func(ctx context.Context, client *Client) (*Segment, error) {
			return client.Open(ctx, Key("a"), Read, nil)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			passed := memory(t, 100, 1)
			f := newFake(t)
			client := dialFake(t, f)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() {
				_, err := c.call(ctx, client)
				done <- err
			}()
			f.message()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) { // before there is an answer
				t.Fatalf("it gives %v", err)
			}
			created := "false"
			if c.created {
				created = "true"
			}
			f.answer(replace(grantText, "CREATED", created), passed...)
			if c.created {
				expectOneway(t, f, "Delete", "id", "7")
			}
			expectOneway(t, f, "Detach", "attachment", "9")
			// The connection goes on.
			described := make(chan error)
			go func() { described <- client.Delete(context.Background(), Key("b")) }()
			if f.message()["method"] != segmentsInterface+"Delete" {
				t.Error("it sends something else")
			}
			f.answer(`{"parameters":{}}`)
			if err := <-described; err != nil {
				t.Error(err)
			}
		})
	}
}

func replace(text, old, new string) string {
	for i := range text {
		if len(text)-i >= len(old) && text[i:i+len(old)] == old {
			return text[:i] + new + text[i+len(old):]
		}
	}
	return text
}

func TestAContextEndsTheWaitForOthersCalls(t *testing.T) {
	f := newFake(t)
	client := dialFake(t, f)
	first := make(chan error)
	go func() { first <- client.Delete(context.Background(), Key("a")) }()
	f.message() // the daemon is busy with it
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := client.Delete(ctx, Key("b")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("it gives %v", err)
	}
	f.answer(`{"parameters":{}}`)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	third := make(chan error)
	go func() { third <- client.Delete(context.Background(), Key("c")) }()
	if parameters := f.message()["parameters"].(map[string]any); parameters["key"] != "c" {
		t.Fatalf("what was cancelled has been sent: %v", parameters)
	}
	f.answer(`{"parameters":{}}`)
	if err := <-third; err != nil {
		t.Fatal(err)
	}
}

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	f := newFake(t)
	client := dialFake(t, f)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, created := client.Create(ctx, "a", 1, nil)
	_, listed := client.ListAll(ctx, "")
	_, dialled := Dial(ctx, f.path)
	for _, err := range []error{created, listed, dialled} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it gives %v", err)
		}
	}
	client.Close()
	if message := f.message(); message != nil {
		t.Errorf("it sends %v", message)
	}
}

func TestAContextEndsAWaitAndItsConnection(t *testing.T) {
	f := newFake(t)
	client := dialFake(t, f)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := client.Open(ctx, Key("a"), Read, &OpenOptions{Wait: time.Hour})
		done <- err
	}()
	f.message()
	f.answer(`{"error":"io.shmd.Segments.NoSuchSegment","parameters":{"key":"a"}}`)
	main, mainReader := f.conn, f.reader
	f.conn = nil
	f.accept()
	waiting := f.message()
	if _, waits := waiting["parameters"].(map[string]any)["waitUsec"]; !waits {
		t.Fatalf("it sends %v", waiting)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("it gives %v", err)
	}
	if message := f.message(); message != nil {
		t.Fatalf("it sends %v", message)
	}
	f.conn, f.reader = main, mainReader // on which calls go on
	deleted := make(chan error)
	go func() { deleted <- client.Delete(context.Background(), Key("b")) }()
	f.message()
	f.answer(`{"parameters":{}}`)
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
}

func TestAnUnansweredCallIsNotRepeatedUnlessItDoesTheSame(t *testing.T) {
	f := newFake(t)
	client := dialFake(t, f)
	deleted := make(chan error)
	go func() { deleted <- client.Delete(context.Background(), Key("a")) }()
	f.message()
	f.conn.Close()
	if err := <-deleted; !errors.Is(err, ErrDisconnected) {
		t.Fatalf("it gives %v", err)
	}
	listed := make(chan error)
	go func() {
		_, err := client.ListAll(context.Background(), "")
		listed <- err
	}()
	f.conn = nil
	f.accept()
	f.message()
	f.conn.Close()
	f.conn = nil
	f.accept()
	if f.message()["method"] != segmentsInterface+"List" {
		t.Fatal("it does not ask again")
	}
	f.answer(`{"parameters":{"segment":null}}`)
	if err := <-listed; err != nil {
		t.Fatal(err)
	}
}

// The kernel glues a message to the following one that has descriptors, and both may come in pieces.
func TestMessagesInPiecesAndGlued(t *testing.T) {
	passed := memory(t, 100, 1)
	f := newFake(t)
	c, err := dial(context.Background(), f.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.release()
	f.accept()
	f.answer(`{"parameters":{}}`)
	f.answer(replace(grantText, "CREATED", "true"), passed...)
	for i := 0; i < 2; i++ {
		message, err := c.receive()
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if _, _, err := decodeReply[grant](message); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := c.reader.take(); len(got) != 1 {
		t.Fatalf("%d descriptors", len(got))
	} else {
		closeAll(got)
	}
	go func() {
		for _, each := range []byte(`{"parameters":{}}` + "\x00") {
			f.conn.Write([]byte{each})
		}
	}()
	if message, err := c.receive(); err != nil || string(message) != `{"parameters":{}}` {
		t.Fatalf("%q, %v", message, err)
	}
}

func TestAMessageThatIsTooLargeIsNonsense(t *testing.T) {
	f := newFake(t)
	client := dialFake(t, f)
	go func() {
		f.message()
		piece := make([]byte, 1<<16)
		for i := range piece {
			piece[i] = ' '
		}
		for i := 0; i < 20; i++ {
			if _, err := f.conn.Write(piece); err != nil {
				return
			}
		}
	}()
	var broken *ProtocolError
	if err := client.Delete(context.Background(), Key("a")); !errors.As(err, &broken) {
		t.Fatalf("it gives %v", err)
	}
}
