package main

import (
	"context"
	"io"
)

func runDemo(ctx context.Context, c config, out io.Writer, plain bool) error { return nil }
