//go:build !mips && !mipsle && (!arm || arm.7)

package shmd

// Whether package sync/atomic does 64 bits with the machine's own instructions, and so between processes.
const atomic64 = true
