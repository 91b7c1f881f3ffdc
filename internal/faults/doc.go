// Package faults disturbs near caches and their Redis. It has tests only.
package faults
