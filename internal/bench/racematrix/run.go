package racematrix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/larder-go/larder/internal/bench/redisserver"
)

// Race is one schedule and what it shows.
type Race struct {
	ID, Title  string
	Why        string // what it is about, a clause
	NeedsRedis bool   // it is about a cache that processes share
	Parts      []Part

	// Play plays it once and returns a cell for each part.
	Play func(context.Context, *Setting) ([]Cell, error)
}

// Part is a row: one question that a race answers.
type Part struct{ ID, Question string }

// Races returns all races, in the order of their ids.
func Races() []Race {
	return []Race{
		invalidateDuringLoad(), leaderLeaves(), followerDeadline(), loaderPanics(), loaderExits(),
		abaOfLoads(), sentinels(), stalledRedis(), invalidateFromElsewhere(), recursion(),
	}
}

// Setting is where one contender plays one race.
type Setting struct {
	Contender *Contender
	Server    *redisserver.Server // the contender's own; nil if it needs none
	Command   Command

	// Plays is how often the races are played that some callers may win and
	// others lose by chance. The worst outcome counts.
	Plays int
}

// Addr returns the address of the Redis, empty without one.
func (s *Setting) Addr() string {
	if s.Server == nil {
		return ""
	}
	return s.Server.Addr
}

// Matrix is what came of all races, a column for each contender.
type Matrix struct{ Columns []Column }

// Column is what came of all races for one contender.
type Column struct {
	Contender Contender
	Redis     string          // version of its Redis; empty: none
	Cells     map[string]Cell // by Part.ID
}

// Run has each contender play all races, those that depend on chance so many
// times. Contenders play side by side, each on a Redis of its own; where there
// is none on PATH, those that need it are left out.
func Run(ctx context.Context, contenders []Contender, plays int, command Command) (*Matrix, error) {
	columns, errs := make([]Column, len(contenders)), make([]error, len(contenders))
	var all sync.WaitGroup
	for i, c := range contenders {
		all.Go(func() { columns[i], errs[i] = column(ctx, c, plays, command) })
	}
	all.Wait()
	m := &Matrix{}
	for i, err := range errs {
		switch {
		case errors.Is(err, redisserver.ErrMissing):
		case err != nil:
			return nil, fmt.Errorf("%s: %w", contenders[i].Name, err)
		default:
			m.Columns = append(m.Columns, columns[i])
		}
	}
	return m, nil
}

// column has one contender play all races.
func column(ctx context.Context, contender Contender, plays int, command Command) (c Column, err error) {
	c = Column{Contender: contender, Cells: map[string]Cell{}}
	s := &Setting{Contender: &contender, Command: command, Plays: plays}
	if contender.OnRedis {
		if s.Server, err = redisserver.Start(ctx); err != nil {
			return c, err
		}
		defer func() { err = errors.Join(err, s.Server.Close()) }()
		if c.Redis, err = s.Server.Version(); err != nil {
			return c, err
		}
	}
	for _, r := range Races() {
		cells, err := play(ctx, &r, s)
		if err != nil {
			return c, fmt.Errorf("race %s: %w", r.ID, err)
		}
		for i, p := range r.Parts {
			c.Cells[p.ID] = cells[i]
		}
	}
	return c, nil
}

// play plays r, or says why it does not apply.
func play(ctx context.Context, r *Race, s *Setting) ([]Cell, error) {
	why := s.Contender.NotApplicable[r.ID]
	if r.NeedsRedis && !s.Contender.OnRedis && why == "" {
		why = "it keeps its entries in its own process"
	}
	if why != "" {
		return slices.Repeat([]Cell{notApplicable(why)}, len(r.Parts)), nil
	}
	return r.Play(ctx, s)
}

// Wrong returns the verdicts on larder that are not right, as in
// "larder, Redis: 1a: stale".
func (m *Matrix) Wrong() (wrong []string) {
	for _, c := range m.Columns {
		for _, p := range parts() {
			if cell := c.Cells[p.ID]; c.Contender.Ours && !cell.Right {
				wrong = append(wrong, fmt.Sprintf("%s: %s: %s", c.Contender.Name, p.ID, cell.Text))
			}
		}
	}
	return wrong
}

func parts() (all []Part) {
	for _, r := range Races() {
		all = append(all, r.Parts...)
	}
	return all
}
