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
	hugePage      = 2 << 20
)

func mapShared(descriptor int, length uintptr, access Access) (uintptr, error) {
	protection := syscall.PROT_READ
	if access == Write {
		protection |= syscall.PROT_WRITE
	}
	address, number := mmap(placeFor(length), length, uintptr(protection), syscall.MAP_SHARED, uintptr(descriptor))
	if number != 0 {
		return 0, number
	}
	return address, nil
}

// placeFor is a hint where to map so much memory, so that huge pages of it, if it has any, are mapped as such and not
// by 512 page faults each: at a multiple of their size. 0, anywhere, for what is smaller. Should another thread take the
// room meanwhile, the kernel finds some other.
func placeFor(length uintptr) uintptr {
	if length < hugePage || length+hugePage < length {
		return 0
	}
	room, err := mapNothing(length + hugePage)
	if err != nil {
		return 0
	}
	unmap(room, length+hugePage)
	return (room + hugePage - 1) &^ (hugePage - 1)
}

// mapNothing takes a range of addresses that nobody may touch. It costs no memory.
func mapNothing(length uintptr) (uintptr, error) {
	address, number := mmap(0, length, syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE, ^uintptr(0))
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
