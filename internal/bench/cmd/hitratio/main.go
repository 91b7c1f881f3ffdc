// Command hitratio plays traces of keys against larder's engine and its peers
// and prints the hit ratios as a table.
//
//	go run ./internal/bench/cmd/hitratio [-traces directory] [-only larder,otter] [-times n] [-requests n]
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/larder-go/larder/internal/bench/hitratio"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	dir := flag.String("traces", "", "a directory with recorded traces; empty: synthetic ones only")
	only := flag.String("only", "", "contenders, separated by commas; empty: all")
	times := flag.Int("times", 3, "how often each is played; the mean is shown")
	largest := flag.Int("requests", 1<<30, "leave out traces with more requests")
	flag.Parse()
	traces, err := hitratio.Traces(*dir)
	if err != nil {
		return err
	}
	traces = slices.DeleteFunc(traces, func(t hitratio.Trace) bool { return len(t.Keys) > *largest })
	contenders := hitratio.Contenders()
	if *only != "" {
		names := strings.Split(*only, ",")
		contenders = slices.DeleteFunc(contenders, func(c hitratio.Contender) bool { return !slices.Contains(names, c.Name) })
	}
	return hitratio.Write(os.Stdout, hitratio.Measure(traces, contenders, max(1, *times)), contenders)
}
