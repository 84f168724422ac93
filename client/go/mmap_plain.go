//go:build !386 && !arm && !mips && !mipsle && !s390x

package shmd

import "syscall"

func mmap(hint, length, protection, flags, descriptor uintptr) (uintptr, syscall.Errno) {
	address, _, number := syscall.Syscall6(syscall.SYS_MMAP, hint, length, protection, flags, descriptor, 0)
	return address, number
}
