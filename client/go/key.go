package shmd

import (
	"fmt"
	"math"
	"strconv"
)

// Ref names one segment for a call: a [Key], an [ID] or a [SysV] key.
type Ref interface {
	// target fills in the one of key and id that it is.
	target() (target, error)
	String() string
}

// Key is the name under which a segment is found: 1 to 255 bytes of A-Z a-z 0-9 . _ : / @ + = -, the first one a letter or a
// digit.
type Key string

// ID is the number that stands for one segment for ever. It is never given to another one.
type ID int64

// SysV is a System V key, as shmget(2) and PHP's shmop_open take it. It stands for the key "sysv:0x" with 8 hexadecimal
// digits. From -2^31 to 2^32-1, negative ones as two's complement.
type SysV int64

type target struct {
	Key *string `json:"key,omitempty"`
	ID  *int64  `json:"id,omitempty"`
}

// Key gives the key that the number stands for: SysV(0xff3).Key() is "sysv:0x00000ff3". Empty when the number has more than
// 32 bits.
func (k SysV) Key() Key {
	if k < math.MinInt32 || k > math.MaxUint32 {
		return ""
	}
	return Key(fmt.Sprintf("sysv:0x%08x", uint32(k)))
}

func (k Key) target() (target, error) {
	text := string(k)
	return target{Key: &text}, nil
}

func (i ID) target() (target, error) {
	number := int64(i)
	return target{ID: &number}, nil
}

func (k SysV) target() (target, error) {
	key := k.Key()
	if key == "" {
		return target{}, &argumentError{"a System V key has 32 bits, and " + strconv.FormatInt(int64(k), 10) + " has more"}
	}
	return key.target()
}

func (k Key) String() string  { return "segment '" + string(k) + "'" }
func (i ID) String() string   { return "segment " + strconv.FormatInt(int64(i), 10) }
func (k SysV) String() string { return k.Key().String() }
