//go:build race

package shmd

// The race detector does not look at memory outside Go's heap, so that it would not know what a lock orders between the
// goroutines of one process. These tell it.

func (a *syncArea) raceAcquire() { a.order.Load() }
func (a *syncArea) raceRelease() { a.order.Add(1) }
