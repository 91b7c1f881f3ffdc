// Package nearhit compares near caches: what a hit in the process costs, and how
// long after another process's removal it is gone here. It has benchmarks only.
package nearhit
