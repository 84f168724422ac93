//go:build mips || mipsle || (arm && !arm.7)

package shmd

// Here package sync/atomic has a lock of the process's own for 64 bits, which other processes know nothing of. The compiler
// tells from Go 1.21 on that it builds for ARMv7.
const atomic64 = false
