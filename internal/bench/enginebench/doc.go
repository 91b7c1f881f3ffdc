// Package enginebench measures larder's engine by itself and in package memory,
// whose entries have a region there, beside a bare Go map of the same keys and
// beside otter: hits, sets that evict, latencies of reads
// while others write at full speed, scaling, and heap.
package enginebench
