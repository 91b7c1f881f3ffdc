package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/outbox"
)

// envKills is how often a worker is killed; 40 and more for the full test.
const envKills = "LEDGER_KILLS"

const (
	defaultKills = 8
	clients      = 2
	workers      = 2
	drainTime    = time.Minute
)

func kills(t *testing.T, otherwise int) int {
	text := os.Getenv(envKills)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", envKills, err)
	}
	return n
}

// account is how a run ended.
type account struct {
	tally
	acknowledged int // writes in the ledgers
	keys         int
	kills        int
	lost         int // keys whose last acknowledged write is nowhere
	queued       int
	dead         int
}

func (a account) String() string {
	return fmt.Sprintf("%d writes of %d keys acknowledged, %d kills: %d lost, %d order inversions, %d duplicates absorbed (%d of them late), %d rows, %d queued, %d dead letters",
		a.acknowledged, a.keys, a.kills, a.lost, a.inversions, a.duplicates+a.late, a.late, a.rows, a.queued, a.dead)
}

// trial is one run of the test.
type trial struct {
	*testing.T
	*process
	env    []string
	folder string
	server *redistest.Instance // that has the queue; nil if none has
}

func newTrial(t *testing.T, backendName, naiveName string) *trial {
	t.Helper()
	b := backends[backendName]
	d := database(t, b.dialect)
	var server *redistest.Instance
	if b.redis != nil {
		server = redistest.Server(t, b.redis...)
		t.Setenv(envRedis, server.Addr())
	}
	p, err := newProcess(backendName, d.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	if q, ok := p.queue.(*redisqueue.Queue); ok {
		t.Cleanup(func() { _ = q.Close(context.Background()) })
	}
	if err := p.source.create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if q, ok := p.queue.(*outbox.Queue); ok {
		if err := q.CreateTable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	return &trial{T: t, process: p, folder: folder, server: server, env: []string{
		envQueue + "=" + backendName, envDSN + "=" + d.DSN, envNaive + "=" + naiveName, envFolder + "=" + folder,
	}}
}

// run lets clients write and kills workers under them, in turn with the server that
// has the queue if one has, then lets the workers finish, and says where everything
// is.
func (t *trial) run(n int) account {
	t.Helper()
	var writing []*spawned
	for i := range clients {
		writing = append(writing, spawn(t.T, "client", append(t.env, fmt.Sprint(envClient, "=", i))...))
	}
	var working [workers]*spawned
	for i := range working {
		working[i] = spawn(t.T, "worker", t.env...)
	}
	for turn := range n {
		time.Sleep(100*time.Millisecond + rand.N(400*time.Millisecond))
		if t.server != nil && turn%2 == 1 {
			t.server.Restart() // it is killed
			continue
		}
		i := rand.IntN(workers)
		working[i].kill()
		working[i] = spawn(t.T, "worker", t.env...)
	}
	for _, c := range writing {
		if err := c.end(); err != nil {
			t.Errorf("client: %v", err)
		}
	}
	t.drained()
	for _, w := range working {
		w.kill()
	}
	a := t.audit()
	a.kills = n
	t.Log(a)
	return a
}

// drained waits until the workers have nothing left to do.
func (t *trial) drained() {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), drainTime)
	defer cancel()
	w, err := t.begin(t.queue, true)
	if err == nil {
		err = w.Flush(ctx)
	}
	if err == nil {
		err = w.Close(ctx)
	}
	if err != nil {
		t.Errorf("after the last kill: %v", err)
	}
}

// audit looks for the last acknowledged write of each key: in the source, in the
// queue and in the dead letters.
func (t *trial) audit() (a account) {
	t.Helper()
	ctx := t.Context()
	last, acknowledged, err := readLedgers(t.folder)
	if err != nil {
		t.Fatal(err)
	}
	a.acknowledged, a.keys = acknowledged, len(last)
	if a.tally, err = t.source.tally(ctx); err != nil {
		t.Fatal(err)
	}
	w, err := t.behind(t.queue, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close(ctx) }()
	letters, err := w.DeadLetters(ctx, "", 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	dead := map[int]int64{}
	for _, l := range letters {
		dead[l.ID] = l.Value
	}
	a.dead = len(letters)
	for id, n := range last {
		found, err := w.Find(ctx, id) // in the queue, or else in the source
		if err != nil && !errors.Is(err, cache.ErrNotFound) {
			t.Fatal(err)
		}
		if max(found, dead[id]) < n {
			a.lost++
		}
	}
	st, err := t.queue.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a.queued = st.Queued
	return a
}

func TestNothingAcknowledgedIsLost(t *testing.T) {
	for name, n := range map[string]int{"outbox-postgres": defaultKills, "outbox-sqlite": defaultKills / 2, "redis": defaultKills} {
		t.Run(name, func(t *testing.T) {
			a := newTrial(t, name, "").run(kills(t, n))
			if a.lost > 0 || a.inversions > 0 {
				t.Errorf("%d writes lost, %d order inversions; want none", a.lost, a.inversions)
			}
			if a.acknowledged < 100 || a.rows == 0 || a.dead == 0 || a.duplicates+a.late == 0 {
				t.Errorf("the run proves little: %v", a)
			}
		})
	}
}

// What is done by hand most often must not pass.
func TestNaiveQueuesLose(t *testing.T) {
	for name := range naive {
		t.Run(name, func(t *testing.T) {
			for n := 2; n <= 16; n *= 2 { // luck has a part in what is lost
				if newTrial(t, "outbox-postgres", name).run(n).lost > 0 {
					return
				}
			}
			t.Error("nothing was lost: the test would not see it")
		})
	}
}

// Nor must a server that keeps nothing when it is killed, if it is taken into use
// for all that Preflight says.
func TestVolatileServersLose(t *testing.T) {
	if newTrial(t, "redis-volatile", "").run(4).lost == 0 {
		t.Error("nothing was lost: the test would not see it")
	}
}

// naive are queues with the usual mistakes.
var naive = map[string]func(p *process) queue.Queue{
	"pops before the write": func(p *process) queue.Queue { return popping{p.queue} },
	"acknowledges by id":    func(p *process) queue.Queue { return byID{p.queue, p} },
}

// popping removes what it hands out before that is written.
type popping struct{ full }

func (q popping) Claim(ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
	claims, err := q.full.Claim(ctx, o)
	outcomes := make([]queue.Outcome, len(claims))
	for i, c := range claims {
		outcomes[i] = queue.Outcome{Claim: c, Result: queue.Done}
	}
	if err == nil && len(outcomes) > 0 {
		_, err = q.full.Settle(ctx, outcomes)
	}
	return claims, err
}

// byID removes whatever is queued of a key that was written.
type byID struct {
	full
	p *process
}

func (q byID) Settle(ctx context.Context, outcomes []queue.Outcome) ([]queue.Settled, error) {
	var rest []queue.Outcome
	for _, o := range outcomes {
		if o.Result != queue.Done {
			rest = append(rest, o)
			continue
		}
		if _, err := q.p.db.ExecContext(ctx, q.p.source.bind("DELETE FROM ledger_queue WHERE key = $1"), []byte(o.Claim.Key)); err != nil {
			return nil, err
		}
	}
	return q.full.Settle(ctx, rest)
}
