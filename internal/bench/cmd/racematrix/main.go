// Racematrix plays the races that a cache with loaders can lose against larder
// and its peers, on Redis servers that it starts, and writes who won them as
// markdown. It ends with status 1 if larder lost one.
//
//	go run ./internal/bench/cmd/racematrix
//	go run ./internal/bench/cmd/racematrix -out docs/race-matrix.md
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/larder-go/larder/internal/bench/racematrix"
	"github.com/larder-go/larder/internal/bench/redisserver"
)

//go:embed head.md
var head string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// plays is how often a race is played whose outcome depends on chance.
const plays = 15

var errLost = errors.New("racematrix: larder lost")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	set := flag.NewFlagSet("racematrix", flag.ContinueOnError)
	set.SetOutput(stderr)
	out := set.String("out", "", "write the page to this `file` instead of showing it")
	child := set.String("child", "", "play this one race only; the program starts itself so")
	if err := set.Parse(args); err != nil {
		return err
	}
	contenders := racematrix.Contenders()
	if *child != "" {
		return racematrix.Child(ctx, contenders, *child, stdout)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	m, err := racematrix.Run(ctx, contenders, plays, func(ctx context.Context, arg string) *exec.Cmd {
		return exec.CommandContext(ctx, self, "-child", arg)
	})
	if err != nil {
		return err
	}
	if len(m.Columns) < len(contenders) { // a page without some would say less than it seems to
		return redisserver.ErrMissing
	}
	return publish(m, *out, stdout)
}

// publish writes the page, and says so if larder lost.
func publish(m *racematrix.Matrix, out string, stdout io.Writer) error {
	page := head + m.String() + "\n" + m.Facts()
	if out == "" {
		if _, err := io.WriteString(stdout, page); err != nil {
			return err
		}
	} else if err := os.WriteFile(out, []byte(page), 0o644); err != nil {
		return err
	}
	if wrong := m.Wrong(); len(wrong) > 0 {
		return fmt.Errorf("%w: %s", errLost, strings.Join(wrong, "; "))
	}
	return nil
}
