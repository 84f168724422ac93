//go:build go1.23

package shmd_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"shmd"
)

func ExampleClient_List() {
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	segment, err := client.Create(ctx, "example/list/a", 100, &shmd.CreateOptions{Labels: map[string]string{"codec": "h264"}})
	if err != nil {
		log.Fatal(err)
	}
	defer segment.Close()

	for info, err := range client.List(ctx, "example/list/") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(info.Key, info.Size, info.Labels["codec"])
	}
	segment.Delete(ctx)
	// Output: example/list/a 100 h264
}

func ExampleWatch_Events() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	watch, err := client.Watch(ctx, "example/watch/")
	if err != nil {
		log.Fatal(err)
	}
	defer watch.Close()

	for event, err := range watch.Events(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		switch event.Kind {
		case shmd.EventReady: // all that were there have been told
			segment, err := client.Create(ctx, "example/watch/a", 100, nil)
			if err != nil {
				log.Fatal(err)
			}
			segment.Delete(ctx)
			segment.Close()
		case shmd.EventCreated:
			fmt.Println("created", event.Segment.Key)
		case shmd.EventDeleted:
			fmt.Println("deleted", event.Segment.Key)
			return
		}
	}
	// Output:
	// created example/watch/a
	// deleted example/watch/a
}
