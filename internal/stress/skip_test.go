//go:build !linux

package stress_test

import "testing"

func TestNoStaleReads(t *testing.T) {
	t.Skip("processes share memory here with Linux's mmap only")
}
