package sizeof

import "reflect"

// referenceOf is Of without plans: it asks the type again at every step.
func referenceOf(v any) int64 {
	switch v := v.(type) {
	case nil:
		return 0
	case string:
		return 16 + int64(len(v))
	case []byte:
		return 24 + int64(cap(v))
	}
	r := reflect.ValueOf(v)
	size := int64(r.Type().Size())
	if !flat(r.Type()) {
		w := reference{seen: make(map[visit]bool)}
		size = add(size, w.beyond(r, budget))
	}
	return size
}

type reference struct{ seen map[visit]bool }

// beyond returns the size of what v points to, v itself not included.
func (w *reference) beyond(v reflect.Value, budget int) int64 {
	switch v.Kind() {
	case reflect.String:
		return int64(v.Len())
	case reflect.Pointer:
		if v.IsNil() || v.Type() == location || !w.first(v) {
			return 0
		}
		return add(int64(v.Type().Elem().Size()), w.follow(v.Elem(), budget-1))
	case reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return add(int64(v.Elem().Type().Size()), w.follow(v.Elem(), budget-1))
	case reflect.Slice:
		if v.IsNil() || !w.first(v) {
			return 0
		}
		return add(times(v.Cap(), int64(v.Type().Elem().Size())), w.elements(v, budget-1))
	case reflect.Array:
		return w.elements(v, budget)
	case reflect.Map:
		if v.IsNil() || !w.first(v) {
			return 0
		}
		return w.pairs(v, budget-1)
	case reflect.Struct:
		return w.fields(v, budget)
	}
	return 0
}

func (w *reference) follow(v reflect.Value, budget int) int64 {
	if budget <= 0 {
		return 0
	}
	return w.beyond(v, budget)
}

// first reports whether this pointer was not followed yet.
func (w *reference) first(v reflect.Value) bool {
	at := visit{v.Pointer(), v.Type()}
	if w.seen[at] {
		return false
	}
	w.seen[at] = true
	return true
}

func (w *reference) elements(v reflect.Value, budget int) int64 {
	n := v.Len()
	if n == 0 || flat(v.Type().Elem()) {
		return 0
	}
	look, each := shares(n, budget)
	var sum int64
	for i := range look {
		sum = add(sum, w.follow(v.Index(i*(n/look)), each))
	}
	return extrapolate(sum, look, n)
}

func (w *reference) pairs(v reflect.Value, budget int) int64 {
	key, elem := v.Type().Key(), v.Type().Elem()
	n := v.Len()
	// A map keeps a control byte per slot, and one slot in eight or more empty.
	own := times(n, int64(key.Size()+elem.Size()+1)*8/7)
	if n == 0 || flat(key) && flat(elem) {
		return own
	}
	look, each := shares(n, budget)
	var sum int64
	done := 0
	for it := v.MapRange(); done < look && it.Next(); done++ {
		sum = add(sum, add(w.follow(it.Key(), each), w.follow(it.Value(), each)))
	}
	return add(own, extrapolate(sum, done, n))
}

func (w *reference) fields(v reflect.Value, budget int) int64 {
	t := v.Type()
	if changing(t) {
		return 0
	}
	pointing := 0
	for i := range t.NumField() {
		if !flat(t.Field(i).Type) {
			pointing++
		}
	}
	var sum int64
	for i := range t.NumField() {
		if !flat(t.Field(i).Type) {
			sum = add(sum, w.beyond(v.Field(i), budget/pointing))
		}
	}
	return sum
}
