package memory

import (
	"encoding/binary"
	"unsafe"
)

// text is a copy of a value of bytes, and immutable: the first of textHead bytes
// that are its length, which it comes after. So it takes one pointer, as an
// object does, and the type tells what it is.
type text byte

const textHead = 8

func newText(value []byte) *text {
	data := make([]byte, textHead+len(value))
	binary.NativeEndian.PutUint64(data, uint64(len(value)))
	copy(data[textHead:], value)
	return (*text)(unsafe.Pointer(unsafe.SliceData(data)))
}

// string returns the text itself, not a copy.
func (t *text) string() string {
	start := (*byte)(unsafe.Pointer(t))
	length := binary.NativeEndian.Uint64(unsafe.Slice(start, textHead))
	return unsafe.String(start, textHead+length)[textHead:]
}
