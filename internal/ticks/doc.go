// Package ticks reads the monotonic clock for a third of what time.Since takes,
// where the processor has a counter that the kernel keeps its own time by.
//
// Asking the kernel's clock makes a core finish all that it has begun, for the
// clock is read in order. Reading the counter does not, and what is read is as
// old as a few instructions: too little to matter to who reads it for a deadline.
// Like the clock, and unlike anything that is kept up to date in memory, it counts
// while the process is stopped.
package ticks
