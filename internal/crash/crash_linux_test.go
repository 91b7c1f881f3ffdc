package crash_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/internal/sqltest"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/patterns/intents"
)

// maxChildren is how many products there are, each for one child.
const maxChildren = 250

// outage is what is wrong with Redis while children write.
type outage string

const (
	up     outage = "up"
	empty  outage = "down"   // and empty when it is back
	frozen outage = "frozen" // and has what it had when it is back
	killed outage = "killed" // and has what it had when it is back
)

// run is one combination of what is tested.
type run struct {
	subject string
	redis   outage
	intents bool
}

func (r run) String() string {
	name := r.subject + "/" + string(r.redis)
	if r.intents {
		name += "/intents"
	}
	return name
}

// envFull asks for all runs. Without it there are some of each kind.
const envFull = "LARDER_CRASH_FULL"

// promised are the runs that leave nothing stale. Intents, or that writes are
// refused, are needed where the cache comes back with what it had.
func promised() (runs []run) {
	if os.Getenv(envFull) == "" {
		return []run{
			{aside, up, false}, {aside, empty, false}, {aside, killed, true},
			{through, up, false}, {through, empty, false}, {through, frozen, true},
			{throughFail, up, false}, {throughFail, frozen, false},
		}
	}
	for _, subject := range []string{aside, through, throughContinue, throughRetry} {
		runs = append(runs, run{subject, up, false}, run{subject, empty, false},
			run{subject, up, true}, run{subject, empty, true}, run{subject, frozen, true}, run{subject, killed, true})
	}
	for _, o := range []outage{up, empty, frozen, killed} {
		runs = append(runs, run{throughFail, o, false})
	}
	return runs
}

func TestKilledWritersLeaveNothingStale(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testKilledWriters(t, sqltest.SQLite) })
	t.Run("PostgreSQL", func(t *testing.T) {
		if testing.Short() {
			t.Skip("takes a minute")
		}
		testKilledWriters(t, sqltest.Postgres(t).Database)
	})
}

func testKilledWriters(t *testing.T, database func(testing.TB) sqltest.Database) {
	for _, r := range promised() {
		t.Run(r.String(), func(t *testing.T) {
			t.Parallel()
			f := kill(t, database(t), r)
			if f.stale != 0 || f.phantom != 0 {
				t.Errorf("%d stale, %d phantom, want none", f.stale, f.phantom)
			}
			n := len(f.named)
			if n < 9 || !slices.Equal(f.killed[:min(n, len(f.killed))], f.named) {
				t.Errorf("children were killed at %q, want %q first", f.killed, f.named)
			}
			if len(f.killed) == n {
				t.Error("no child was killed on its way to Redis")
			}
			if noted := f.notes > 0; noted != (r.intents && r.redis != up) {
				t.Errorf("%d writes were noted", f.notes)
			}
			t.Logf("%d children were killed, %d of them at steps of the source; %d writes were noted", len(f.killed), n, f.notes)
		})
	}
}

// The harness sees what it is to see.
func TestNaiveWritersAreCaught(t *testing.T) {
	t.Run(naiveAside, func(t *testing.T) {
		t.Parallel()
		if f := kill(t, sqltest.SQLite(t), run{naiveAside, up, false}); f.stale == 0 {
			t.Error("nothing stale was found")
		}
	})
	t.Run(naiveThrough, func(t *testing.T) {
		t.Parallel()
		if f := kill(t, sqltest.SQLite(t), run{naiveThrough, up, false}); f.phantom == 0 {
			t.Error("no phantom was found")
		}
	})
}

// What goes ahead without the cache, and tells nobody, is stale in it if the cache
// comes back with what it had.
func TestOutagesWithoutIntentsAreSeen(t *testing.T) {
	subjects := []string{aside, through}
	if os.Getenv(envFull) != "" {
		subjects = append(subjects, throughContinue, throughRetry)
	}
	for _, subject := range subjects {
		r := run{subject, killed, false}
		t.Run(r.String(), func(t *testing.T) {
			t.Parallel()
			f := kill(t, sqltest.SQLite(t), r)
			if f.stale == 0 || f.phantom != 0 {
				t.Errorf("%d stale, %d phantom; want some stale", f.stale, f.phantom)
			}
		})
	}
}

// findings are what became of one run.
type findings struct {
	stale, phantom int
	notes          int      // writes that the cache was not told of, when it was back
	named          []string // the steps of the source
	killed         []string // where each child was
}

// parent is the process that reads.
type parent struct {
	t        *testing.T
	store    *store
	cache    cache.Cache
	intents  *intents.Table
	entities repository
	lists    *patterns.Query[string, int, product]
	findings findings
}

// kill kills children at each of their steps, and says what that left behind.
func kill(t *testing.T, d sqltest.Database, r run) findings {
	server := redistest.Server(t, persistence(r.redis)...)
	budget := 10 * time.Second // no machine is so slow
	if r.redis != up {
		budget = 50 * time.Millisecond
	}
	p := newParent(t, d, server.Addr(), 10*time.Second, r)
	for id := 1; id <= maxChildren; id++ {
		if err := p.store.Save(t.Context(), id, first(id)); err != nil {
			t.Fatal(err)
		}
		p.check(id) // caches it
	}
	during := p
	if r.redis != up {
		during = newParent(t, d, server.Addr(), budget, r)
	}
	switch r.redis {
	case empty, killed:
		server.Kill()
	case frozen:
		server.Stop()
	}
	children := during.killAll(order{Database: d, Redis: server.Addr(), Budget: budget, Subject: r.subject, Intents: r.intents, Down: r.redis != up})
	switch r.redis {
	case empty, killed:
		server.Restart()
	case frozen:
		server.Cont()
	}
	p.replay()
	p.checkAll(children)
	time.Sleep(markTTL) // other processes: there is no virtual time
	p.checkAll(children)
	p.checkAll(children) // what was loaded by the last
	f := during.findings
	if during != p {
		f.stale += p.findings.stale
		f.phantom += p.findings.phantom
		f.notes = p.findings.notes
	}
	return f
}

// persistence returns the settings of a server that is to come back with what it had,
// or without.
func persistence(o outage) []string {
	if o != killed {
		return nil
	}
	return []string{"--appendonly", "yes", "--appendfsync", "always"}
}

// replay tells the cache what the children could not. Connections from before the
// outage may turn out to be dead.
func (p *parent) replay() {
	for range 10 {
		n, err := p.intents.Replay(p.t.Context(), p.cache)
		p.findings.notes += n
		if err == nil {
			return
		}
		if !errors.Is(err, cache.ErrOutcomeUnknown) && !errors.Is(err, cache.ErrUnavailable) {
			p.t.Fatal(err)
		}
	}
	p.t.Fatal("the cache cannot be told")
}

// killAll kills children at all of their steps, and returns how many there were. The
// first one lives, and tells which steps the source has.
func (p *parent) killAll(o order) (children int) {
	next := func() (out string, killed bool) {
		if o.ID++; o.ID > maxChildren {
			p.t.Fatalf("more than %d steps", maxChildren)
		}
		out, killed = p.watch(o)
		p.check(o.ID)
		if killed {
			p.findings.killed = append(p.findings.killed, out)
		}
		return out, killed
	}
	out, _ := next()
	p.findings.named = strings.Split(out, "\n")
	for _, o.Step = range p.findings.named {
		next()
	}
	o.Step = ""
	for killed := true; killed; {
		o.KillAt++
		_, killed = next()
	}
	return o.ID
}

func newParent(t *testing.T, d sqltest.Database, redis string, budget time.Duration, r run) *parent {
	c, err := openCache(redis, budget, &steps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	p := &parent{t: t, cache: c, store: &store{d.Open(t), func(string) {}}}
	if _, err := p.store.db.Exec(strings.Replace(schema, "TABLE", "TABLE IF NOT EXISTS", 1)); err != nil {
		t.Fatal(err)
	}
	if p.intents, err = p.store.intentsTable(); err == nil {
		err = p.intents.CreateTable(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.entities, err = open(r.subject, c, p.store, nil); err != nil { // it only reads
		t.Fatal(err)
	}
	p.lists, err = patterns.NewQuery(c, p.entities, p.store.in, patterns.QueryOptions[string, int]{Name: "category", Tokens: tokens})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// watch reads while a child writes. It returns what the child has printed, and
// whether it was killed.
func (p *parent) watch(o order) (printed string, killed bool) {
	text, err := json.Marshal(o)
	if err != nil {
		p.t.Fatal(err)
	}
	child := exec.CommandContext(p.t.Context(), os.Args[0])
	child.Env = append(os.Environ(), orderEnv+"="+string(text))
	ended := make(chan error, 1)
	var out []byte
	go func() {
		var err error
		out, err = child.Output()
		ended <- err
	}()
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
				return string(out), true
			}
			if err != nil {
				p.t.Fatalf("the child ended with %v: %s", err, out)
			}
			return string(out), false
		case <-time.After(time.Millisecond):
			p.read(o.ID)
		}
	}
}

// read looks for phantoms, and gives the child's writes something to void.
func (p *parent) read(id int) {
	v, err := p.entities.Find(p.t.Context(), id)
	if err != nil && !errors.Is(err, cache.ErrNotFound) {
		p.t.Errorf("find: %v", err)
	}
	if v == phantom(id) {
		p.findings.phantom++
	}
	for _, category := range []string{first(id).Category, saved(id).Category, phantom(id).Category} {
		if _, err := p.lists.Find(p.t.Context(), category); err != nil {
			p.t.Errorf("list: %v", err)
		}
	}
}

func (p *parent) checkAll(children int) {
	for id := 1; id <= children; id++ {
		p.check(id)
	}
}

// check compares what is found with what is there.
func (p *parent) check(id int) {
	ctx := p.t.Context()
	want, wantErr := p.store.Find(ctx, id)
	got, err := p.entities.Find(ctx, id)
	if got != want || !errors.Is(err, wantErr) {
		p.differs(id, got == phantom(id))
	}
	for _, category := range []string{first(id).Category, saved(id).Category, phantom(id).Category} {
		want, err := p.store.in(ctx, category)
		if err != nil {
			p.t.Fatal(err)
		}
		got, err := p.lists.IDs(ctx, category)
		if err != nil || !slices.Equal(got, want) {
			p.differs(id, len(want) == 0 && category == phantom(id).Category)
		}
	}
}

func (p *parent) differs(id int, isPhantom bool) {
	if isPhantom {
		p.findings.phantom++
	} else {
		p.findings.stale++
	}
	if strings.HasPrefix(p.t.Name(), "TestKilled") {
		p.t.Logf("product %d differs", id)
	}
}
