package l1

import (
	"fmt"
	"strings"

	"github.com/larder-go/larder/internal/bench"
)

// Find returns the result of a cell, nil if it was not measured.
func Find(results []*Result, cell Cell) *Result {
	for _, r := range results {
		if r.Cell == cell {
			return r
		}
	}
	return nil
}

// StoreReference is the write that others are compared with.
const StoreReference = "otter Set"

// Report renders the results in markdown, a table for each kind of value and of
// call.
func Report(results []*Result) string {
	var b strings.Builder
	for _, values := range []string{"pointer", "struct"} {
		for _, part := range []struct {
			title, reference string
			kinds            []Kind
		}{
			{"hit, value by %s", Reference, []Kind{Lookup, Loading}},
			{"replace an entry, value by %s", StoreReference, []Kind{Store}},
		} {
			fmt.Fprintf(&b, "### In memory: "+part.title+"\n\n", values)
			fmt.Fprintf(&b, "ns/op: median (min..max over rounds), and the ratio to %s.\n\n", part.reference)
			b.WriteString(table(results, values, part.reference, part.kinds).String() + "\n")
		}
	}
	return b.String()
}

func table(results []*Result, values, reference string, kinds []Kind) *bench.Table {
	t := &bench.Table{Header: []string{"call"}}
	var columns []Cell
	rows := map[string][]string{}
	var order []string
	for _, r := range results {
		if r.Values != values || !has(kinds, r.Kind) {
			continue
		}
		if r.Call == reference {
			columns = append(columns, r.Cell)
			t.Header = append(t.Header, fmt.Sprintf("%s x%d", r.Workload, r.Procs))
		}
		if rows[r.Call] == nil {
			rows[r.Call] = []string{title(r)}
			order = append(order, r.Call)
		}
	}
	t.Header = append(t.Header, "allocs/op", "B/op")
	for _, call := range order {
		var last *Result
		for _, column := range columns {
			base := Find(results, column)
			column.Call = call
			r := Find(results, column)
			rows[call] = append(rows[call], bench.Spread(r.Nanos)+" "+bench.Times(r.Nanos.Ratio(base.Nanos)))
			last = r
		}
		t.Add(append(rows[call], fmt.Sprintf("%.0f", last.Allocs.Median()), fmt.Sprintf("%.0f", last.Bytes.Median()))...)
	}
	return t
}

func title(r *Result) string {
	if r.Kind == Loading {
		return r.Call + " (loading)"
	}
	return r.Call
}

func has(kinds []Kind, kind Kind) bool {
	for _, k := range kinds {
		if k == kind {
			return true
		}
	}
	return false
}
