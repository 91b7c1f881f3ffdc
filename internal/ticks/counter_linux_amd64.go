package ticks

import (
	"bytes"
	"os"
)

// counter returns the processor's time stamp counter.
func counter() uint64

// counts reports whether the kernel keeps its time by the counter: then it has
// found that the counter has one rate, never stops, and is the same on all cores.
func counts() bool {
	source, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return err == nil && string(bytes.TrimSpace(source)) == "tsc"
}
