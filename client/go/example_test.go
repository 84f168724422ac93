package shmd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"shmd"
)

// A segment is made by one program and opened by another one.
func Example() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	greeting, err := client.Create(ctx, "example/greeting", 100, &shmd.CreateOptions{Mode: shmd.Mode(0o644)})
	if err != nil {
		log.Fatal(err)
	}
	defer greeting.Close()
	copy(greeting.Bytes(), "hello")

	same, err := client.Open(ctx, shmd.Key("example/greeting"), shmd.Read, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer same.Close()
	fmt.Printf("%s, %d bytes\n", same.Bytes()[:5], same.Size())

	if err := client.Delete(ctx, shmd.Key("example/greeting")); err != nil {
		log.Fatal(err)
	}
	// Output: hello, 100 bytes
}

// What goes wrong is known by its name, and has parameters.
func ExampleError() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.Open(ctx, shmd.Key("example/none"), shmd.Read, nil)
	if errors.Is(err, shmd.ErrNoSuchSegment) {
		var refused *shmd.Error
		errors.As(err, &refused)
		fmt.Println(refused.Name, refused.Text("key"))
	}
	// Output: io.shmd.Segments.NoSuchSegment example/none
}

// A table is written in peace, published under the eyes of its readers, and sealed.
func ExampleSegment_Publish() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	for _, text := range []string{"first", "second"} {
		table, err := client.Create(ctx, "example/table", 4096, &shmd.CreateOptions{Staged: true})
		if err != nil {
			log.Fatal(err)
		}
		copy(table.Bytes(), text)
		if err := table.Seal(ctx); err != nil {
			log.Fatal(err)
		}
		// Readers of the old table keep it whole.
		if err := table.Publish(ctx, "", true); err != nil {
			log.Fatal(err)
		}
		table.Close()
	}

	table, err := client.Open(ctx, shmd.Key("example/table"), shmd.Read, &shmd.OpenOptions{Sealed: true})
	if err != nil {
		log.Fatal(err)
	}
	defer table.Close()
	fmt.Printf("%s\n", bytes.TrimRight(table.Bytes(), "\x00"))
	table.Delete(ctx)
	// Output: second
}

// Numbers in shared memory, counted by any number of processes.
func ExampleSliceOf() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	segment, err := client.Create(ctx, "example/counters", 64, &shmd.CreateOptions{OpenExisting: true})
	if err != nil {
		log.Fatal(err)
	}
	defer segment.Close()
	counters, err := shmd.SliceOf[uint64](segment)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(counters), atomic.AddUint64(&counters[0], 1))
	segment.Delete(ctx)
	// Output: 8 1
}

// View lends the memory to a function. What would crash is an error.
func ExampleSegment_View() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	segment, err := client.Create(ctx, "", 100, &shmd.CreateOptions{Access: shmd.Read})
	if err != nil {
		log.Fatal(err)
	}
	defer segment.Close()
	defer segment.Delete(ctx)
	err = segment.View(func(memory []byte) error {
		memory[0] = 1
		return nil
	})
	fmt.Println(errors.Is(err, shmd.ErrReadOnly))
	// Output: true
}

// A segment grows in place, within the capacity that it was created with.
func ExampleSegment_Resize() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	segment, err := client.Create(ctx, "", 1000, &shmd.CreateOptions{Capacity: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer segment.Close()
	defer segment.Delete(ctx)
	if err := segment.Resize(ctx, 5000); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(segment.Bytes()))
	// Output: 5000
}

// Waiting for a segment that another process is about to make.
func ExampleClient_Open_wait() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	made := make(chan error, 1)
	go func() {
		ready, err := client.Create(ctx, "example/ready", 1, &shmd.CreateOptions{Lifetime: shmd.LifetimeLease, Lease: time.Minute})
		if err == nil {
			err = ready.Close()
		}
		made <- err
	}()
	segment, err := client.Open(ctx, shmd.Key("example/ready"), shmd.Read, &shmd.OpenOptions{Wait: shmd.WaitForever})
	if err != nil {
		log.Fatal(err)
	}
	defer segment.Close()
	if err := <-made; err != nil {
		log.Fatal(err)
	}
	fmt.Println(segment.Key(), segment.Info().Lease)
	segment.Delete(ctx)
	// Output: example/ready 1m0s
}

// An integer is a System V key: that of PHP's shmop_open(0xff3, ...).
func ExampleSysV() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	segment, err := client.Create(ctx, shmd.SysV(0xff3).Key(), 100, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer segment.Close()
	info, err := client.Describe(ctx, shmd.SysV(0xff3))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Key, info.ID == segment.ID())
	segment.Delete(ctx)
	// Output: sysv:0x00000ff3 true
}

// Many segments in one trip to the daemon. Each has its own result.
func ExampleClient_OpenMany() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	made, err := client.CreateMany(ctx, []shmd.NewSegment{{Key: "example/a", Size: 100}, {Key: "example/b", Size: 200}})
	if err != nil {
		log.Fatal(err)
	}
	opened, err := client.OpenMany(ctx, []shmd.Ref{shmd.Key("example/a"), shmd.Key("example/none"), shmd.ID(made[1].ID())}, shmd.Read)
	if err != nil {
		log.Fatal(err)
	}
	for _, each := range opened {
		if each.Err != nil {
			fmt.Println(errors.Is(each.Err, shmd.ErrNoSuchSegment))
			continue
		}
		fmt.Println(each.Segment.Key(), each.Segment.Size())
		each.Segment.Close()
	}
	for _, each := range made {
		each.Delete(ctx)
		each.Close()
	}
	// Output:
	// example/a 100
	// true
	// example/b 200
}
