//go:build !386 && !arm && !mips && !mipsle && !s390x

package shmd

import "syscall"

func mmap(length, protection, flags, descriptor uintptr) (uintptr, syscall.Errno) {
	address, _, number := syscall.Syscall6(syscall.SYS_MMAP, 0, length, protection, flags, descriptor, 0)
	return address, number
}
