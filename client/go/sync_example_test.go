package shmd_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"

	"shmd"
)

// A lock of all processes that have the segment open. A holder that dies gives it to the next one.
func ExampleSegment_Lock() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	segment, err := client.Create(ctx, "example/lock", 64, &shmd.CreateOptions{OpenExisting: true})
	if err != nil {
		log.Fatal(err)
	}
	defer segment.Close()
	defer segment.Delete(ctx)

	lock, err := segment.Lock(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Unlock()
	memory := segment.Bytes()
	if lock.OwnerDied() { // in the middle of a change, perhaps
		binary.LittleEndian.PutUint64(memory, 0)
		if err := lock.MakeConsistent(); err != nil {
			log.Fatal(err)
		}
	}
	binary.LittleEndian.PutUint64(memory, binary.LittleEndian.Uint64(memory)+1)
	fmt.Println(binary.LittleEndian.Uint64(memory))

	_, err = segment.TryLock(ctx)
	fmt.Println(errors.Is(err, shmd.ErrLocked))
	// Output:
	// 1
	// true
}

// What a write section changes, readers see whole or not at all. They take no lock, so that they hold up nobody, and need no
// permission to write.
func ExampleSegment_Snapshot() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	segment, err := client.Create(ctx, "example/snapshot", 64, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer segment.Close()
	defer segment.Delete(ctx)

	section, err := segment.BeginWrite(ctx)
	if err != nil {
		log.Fatal(err)
	}
	copy(segment.Bytes(), "all of it")
	if err := section.End(); err != nil {
		log.Fatal(err)
	}

	reader, err := client.Open(ctx, shmd.Key("example/snapshot"), shmd.Read, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()
	text := make([]byte, 9)
	if err := reader.Snapshot(ctx, text, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	// Output: all of it
}

// One process tells that there is something new, the others wait for it: the next version is a number that is higher.
func ExampleSegment_Notifications() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	segment, err := client.Create(ctx, "example/version", 64, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer segment.Close()
	defer segment.Delete(ctx)

	version, err := segment.Version(ctx) // what comes after this is not missed
	if err != nil {
		log.Fatal(err)
	}
	notifications := segment.Notifications(ctx, version)
	if _, err := segment.Notify(ctx); err != nil {
		log.Fatal(err)
	}
	select {
	case version, open := <-notifications.C:
		if !open {
			log.Fatal(notifications.Err())
		}
		fmt.Println("version", version)
	case <-ctx.Done():
	}
	// Output: version 1
}
