package main

import "context"

// Row stands for a row of a database.
type Row struct {
	Left    int
	Version uint64
	Write   func(ctx context.Context, left int, fence uint64) error
}
