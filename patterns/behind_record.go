package patterns

import (
	"encoding/binary"
	"fmt"

	"github.com/larder-go/larder/cache"
)

// recordForm is the first byte of a queued record. Another form is a record of
// another version of this package.
const recordForm = 1

// Flags of a record.
const (
	recordValue = 1 << iota // it has a value
	recordFresh             // the source is to forget what it had before
)

// record is what a write-behind queue carries for one entity: its id and, unless
// it was deleted, its value.
type record[K comparable, V any] struct {
	id    K
	value V
	has   bool // value; or else the entity is deleted
	fresh bool // it was deleted before this value was saved
}

// records turns records into bytes and back: form, flags, length of the id, id,
// value.
type records[K comparable, V any] struct {
	ids    cache.Codec[K]
	values cache.Codec[V]
}

func (c records[K, V]) encode(r record[K, V]) ([]byte, error) {
	id, err := c.ids.Append(nil, r.id)
	if err != nil {
		return nil, err
	}
	var flags byte
	if r.has {
		flags |= recordValue
	}
	if r.fresh {
		flags |= recordFresh
	}
	data := binary.AppendUvarint([]byte{recordForm, flags}, uint64(len(id)))
	data = append(data, id...)
	if !r.has {
		return data, nil
	}
	return c.values.Append(data, r.value)
}

// decode contains a panic of the codecs: a worker may not die of a payload, and
// again each time that it is started.
func (c records[K, V]) decode(data []byte) (r record[K, V], err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%w: the codec panicked", cache.ErrUndecodable)
		}
	}()
	if len(data) < 2 || data[0] != recordForm || data[1] > recordValue|recordFresh {
		return r, fmt.Errorf("%w: no queued record", cache.ErrUndecodable)
	}
	r.has, r.fresh = data[1]&recordValue != 0, data[1]&recordFresh != 0
	length, n := binary.Uvarint(data[2:])
	rest := data[2:]
	if n <= 0 || length > uint64(len(rest)-n) {
		return r, fmt.Errorf("%w: a queued record is cut short", cache.ErrUndecodable)
	}
	rest = rest[n:]
	if r.id, err = c.ids.Decode(rest[:length]); err != nil {
		return r, err
	}
	rest = rest[length:]
	if r.has {
		r.value, err = c.values.Decode(rest)
	} else if len(rest) > 0 {
		err = fmt.Errorf("%w: a queued deletion with a value", cache.ErrUndecodable)
	}
	return r, err
}
