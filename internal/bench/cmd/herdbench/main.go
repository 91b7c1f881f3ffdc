// Herdbench has many callers in several processes ask for one cold key at once,
// and says how long after its load the last of them had the value: once with
// followers that are woken, once with followers that poll. It needs a
// redis-server on PATH.
//
//	go run ./internal/bench/cmd/herdbench
//	go run ./internal/bench/cmd/herdbench -processes 4 -callers 1000 -rounds 30
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"github.com/larder-go/larder/internal/bench/herd"
	"github.com/larder-go/larder/internal/bench/redisserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	cfg := herd.Config{Loads: []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond}}
	set := flag.NewFlagSet("herdbench", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.IntVar(&cfg.Processes, "processes", 4, "how many processes")
	set.IntVar(&cfg.Callers, "callers", 1000, "how many callers in each")
	set.IntVar(&cfg.Rounds, "rounds", 20, "how many cold keys for each number")
	addr := set.String("child", "", "be one of the processes, on the server with this `address`")
	hints := set.Bool("hints", true, "whether such a process takes hints")
	if err := set.Parse(args); err != nil {
		return err
	}
	if *addr != "" {
		return herd.Child(*addr, *hints, stdin, stdout)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server, err := redisserver.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	results, err := herd.Run(ctx, server.Addr, cfg, func(hints bool) *exec.Cmd {
		return exec.CommandContext(ctx, self, "-child", server.Addr, fmt.Sprintf("-hints=%v", hints))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d processes with %d callers each\n\n%s", cfg.Processes, cfg.Callers, herd.Report(results))
	return nil
}
