//go:build !linux

package crash_test

import "testing"

func TestKilledWritersLeaveNothingStale(t *testing.T) {
	t.Skip("the databases of these tests run on Linux only")
}
