package shmd

// Mapping memory by address, which package syscall has no functions for.

import (
	"syscall"
	"unsafe"
)

const (
	mremapMayMove = 1
	mremapFixed   = 2
	getSeals      = 1024 + 10 // F_GET_SEALS
	sealShrink    = 2         // F_SEAL_SHRINK
)

func mapShared(descriptor int, length uintptr, access Access) (uintptr, error) {
	protection := syscall.PROT_READ
	if access == Write {
		protection |= syscall.PROT_WRITE
	}
	address, number := mmap(length, uintptr(protection), syscall.MAP_SHARED, uintptr(descriptor))
	if number != 0 {
		return 0, number
	}
	return address, nil
}

// mapNothing takes a range of addresses that nobody may touch. It costs no memory.
func mapNothing(length uintptr) (uintptr, error) {
	address, number := mmap(length, syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE, ^uintptr(0))
	if number != 0 {
		return 0, number
	}
	return address, nil
}

func unmap(address, length uintptr) {
	syscall.Syscall(syscall.SYS_MUNMAP, address, length, 0)
}

// moveOnto puts a mapping in the place of another one of the same length, in one step.
func moveOnto(address, length, place uintptr) error {
	_, _, number := syscall.Syscall6(syscall.SYS_MREMAP, address, length, length, mremapMayMove|mremapFixed, place, 0)
	if number != 0 {
		return number
	}
	return nil
}

func adviseHugePages(address, length uintptr) {
	syscall.Syscall(syscall.SYS_MADVISE, address, length, syscall.MADV_HUGEPAGE)
}

func sealsOf(descriptor int) (uintptr, error) {
	seals, _, number := syscall.Syscall(syscall.SYS_FCNTL, uintptr(descriptor), getSeals, 0)
	if number != 0 {
		return 0, number
	}
	return seals, nil
}

// bytesAt is memory outside the heap as a slice.
func bytesAt(address uintptr, length int64) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), int(length))
}
