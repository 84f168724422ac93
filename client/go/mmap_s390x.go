package shmd

import (
	"syscall"
	"unsafe"
)

// On this machine the call takes one pointer to all its arguments.
func mmap(hint, length, protection, flags, descriptor uintptr) (uintptr, syscall.Errno) {
	arguments := [6]uintptr{hint, length, protection, flags, descriptor, 0}
	address, _, number := syscall.Syscall(syscall.SYS_MMAP, uintptr(unsafe.Pointer(&arguments[0])), 0, 0)
	return address, number
}
