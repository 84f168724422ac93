package main

import (
	"context"
	"sync"
	"sync/atomic"

	"shmd"
)

const locksInOne = 100000 // of what is too short to be timed alone

// measureLocks times what nobody else holds, beside what package sync has for one process.
func measureLocks(ctx context.Context, client *shmd.Client, passes int) error {
	segment, err := client.Create(ctx, "", 4096, &shmd.CreateOptions{Lifetime: shmd.LifetimeAttached})
	if err != nil {
		return err
	}
	defer segment.Close()
	var mutex sync.Mutex
	var rwlock sync.RWMutex
	var word atomic.Uint64
	copied, plain := make([]byte, 64), make([]byte, 64)
	many := func(once func() error) func() error {
		return func() error {
			for i := 0; i < locksInOne; i++ {
				if err := once(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for _, each := range []struct {
		name        string
		ours, plain func() error
	}{
		{"lock+unlock beside sync.Mutex", func() error {
			lock, err := segment.Lock(ctx)
			if err != nil {
				return err
			}
			return lock.Unlock()
		}, func() error {
			mutex.Lock()
			mutex.Unlock()
			return nil
		}},
		{"lock+unlock beside two compare-and-swaps", func() error {
			lock, err := segment.Lock(ctx)
			if err != nil {
				return err
			}
			return lock.Unlock()
		}, func() error {
			word.CompareAndSwap(0, 1)
			word.CompareAndSwap(1, 0)
			return nil
		}},
		{"read lock+unlock beside sync.RWMutex", func() error {
			lock, err := segment.ReadLock(ctx)
			if err != nil {
				return err
			}
			return lock.Unlock()
		}, func() error {
			rwlock.RLock()
			rwlock.RUnlock()
			return nil
		}},
		{"write section beside sync.Mutex", func() error {
			section, err := segment.BeginWrite(ctx)
			if err != nil {
				return err
			}
			return section.End()
		}, func() error {
			mutex.Lock()
			mutex.Unlock()
			return nil
		}},
		{"snapshot of 64 bytes beside a copy under sync.RWMutex", func() error {
			return segment.Snapshot(ctx, copied, 0)
		}, func() error {
			rwlock.RLock()
			copy(copied, plain)
			rwlock.RUnlock()
			return nil
		}},
		{"notify beside an atomic addition", func() error {
			_, err := segment.Notify(ctx)
			return err
		}, func() error {
			word.Add(1)
			return nil
		}},
	} {
		if err := inTurns(each.name, passes, many(each.ours), many(each.plain)); err != nil {
			return err
		}
	}
	return nil
}
