//go:build !linux

package faults_test

import "testing"

func TestStalenessUnderFaults(t *testing.T) {
	t.Skip("processes share memory here with Linux's mmap only")
}
