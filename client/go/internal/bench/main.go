// Bench measures the client beside a plain mmap(2) of a file in /dev/shm, and its locks beside those of package sync, in turns within one run, and prints a row of JSON a
// case: the ratio of the medians, ours to the plain one. With $SHMD_SOCKET it uses that daemon, else it starts $SHMD_DAEMON.
//
//	go run ./internal/bench -bytes 1073741824
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"syscall"
	"time"
	"unsafe"

	"shmd"
	"shmd/internal/daemontest"
)

func main() {
	bytes := flag.Int64("bytes", 1<<30, "size of what is copied in and summed up, a multiple of 1 MiB")
	opens := flag.Int("opens", 20000, "how often is opened")
	passes := flag.Int("passes", 5, "how often is copied, summed up and, 100000 times each, locked")
	flag.Parse()
	if err := run(*bytes, *opens, *passes); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(bytes int64, opens, passes int) error {
	if os.Getenv("SHMD_SOCKET") == "" {
		daemon, err := daemontest.New(daemontest.Options{})
		if err != nil {
			return err
		}
		defer daemon.Close()
		if err := daemon.Start(); err != nil {
			return err
		}
		os.Setenv("SHMD_SOCKET", daemon.Socket())
	}
	ctx := context.Background()
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		return err
	}
	defer client.Close()
	file, err := os.CreateTemp("/dev/shm", "shmd-bench-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	// Both get their pages at the first touch: see below.
	segment, err := client.Create(ctx, "", bytes, &shmd.CreateOptions{Lifetime: shmd.LifetimeAttached, Reserve: shmd.ReserveLazy})
	if err != nil {
		return err
	}
	defer segment.Close()
	if err := file.Truncate(bytes); err != nil {
		return err
	}
	if err := measureOpens(ctx, client, file.Name(), opens); err != nil {
		return err
	}
	if err := measureLocks(ctx, client, passes); err != nil {
		return err
	}
	return measureCopies(segment, file, bytes, passes)
}

// inTurns times ours and plain alternately, in an order that changes, count times each after one that does not count, and
// prints their ratio.
func inTurns(name string, count int, ours, plain func() error) error {
	var times [2][]time.Duration
	both := [2]func() error{ours, plain}
	for i := -1; i < count; i++ {
		for turn := range both {
			j := (turn + i + 1) % 2
			begin := time.Now()
			if err := both[j](); err != nil {
				return err
			}
			if i >= 0 {
				times[j] = append(times[j], time.Since(begin))
			}
		}
	}
	row := map[string]any{"case": name, "language": "go", "ratio": median(times[0]) / median(times[1])}
	return json.NewEncoder(os.Stdout).Encode(row)
}

func median(times []time.Duration) float64 {
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	return float64(times[len(times)/2])
}

var sink uint64

func measureOpens(ctx context.Context, client *shmd.Client, path string, count int) error {
	small, err := client.Create(ctx, "", 4096, &shmd.CreateOptions{Lifetime: shmd.LifetimeAttached})
	if err != nil {
		return err
	}
	defer small.Close()
	key := shmd.Key(small.Key())
	return inTurns("open+map+close", count, func() error {
		opened, err := client.Open(ctx, key, shmd.Read, nil)
		if err != nil {
			return err
		}
		sink += uint64(opened.Bytes()[0])
		return opened.Close()
	}, func() error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		memory, err := syscall.Mmap(int(file.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
		if err != nil {
			return err
		}
		sink += uint64(memory[0])
		if err := syscall.Munmap(memory); err != nil {
			return err
		}
		return file.Close()
	})
}

func measureCopies(segment *shmd.Segment, file *os.File, bytes int64, passes int) error {
	plain, err := syscall.Mmap(int(file.Fd()), 0, int(bytes), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	defer syscall.Munmap(plain)
	numbers, err := shmd.SliceOf[uint64](segment)
	if err != nil {
		return err
	}
	plainNumbers := unsafe.Slice((*uint64)(unsafe.Pointer(&plain[0])), len(plain)/8)
	// Where in the machine's memory the pages lie decides more than anything else: so they are taken in turns.
	memory := segment.Bytes()
	for i := 0; i < len(memory); i += 4096 {
		memory[i], plain[i] = 1, 1
	}
	source := make([]byte, 1<<20)
	for i := range source {
		source[i] = byte(i)
	}
	if err := inTurns(fmt.Sprintf("copy %d MiB in", bytes>>20), passes,
		func() error { return fill(memory, source) },
		func() error { return fill(plain, source) }); err != nil {
		return err
	}
	return inTurns(fmt.Sprintf("sum over %d MiB", bytes>>20), passes,
		func() error { return sum(numbers) },
		func() error { return sum(plainNumbers) })
}

func fill(memory, source []byte) error {
	for len(memory) > 0 {
		memory = memory[copy(memory, source):]
	}
	return nil
}

func sum(numbers []uint64) error {
	total := uint64(0)
	for _, each := range numbers {
		total += each
	}
	sink += total
	return nil
}
