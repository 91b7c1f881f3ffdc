package ledger_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/outbox"
)

// The processes of the test are this binary again, with these in their
// environment.
const (
	envRole   = "LEDGER_ROLE"   // "client" or "worker"; none: the test itself
	envQueue  = "LEDGER_QUEUE"  // a name in backends
	envDSN    = "LEDGER_DSN"    // of the source
	envNaive  = "LEDGER_NAIVE"  // a name in naive; none: the queue as it is
	envFolder = "LEDGER_FOLDER" // of the clients' files
	envClient = "LEDGER_CLIENT" // which of the clients
	envRedis  = "LEDGER_REDIS"  // address of the server that has the queue, if one has
)

// full is what a queue under WriteBehind can do.
type full interface {
	queue.Queue
	queue.DeadLetters
	queue.Flusher
}

// backend is a kind of queue that the ledger test runs with, and the database of
// the source. To try another queue, add it here.
type backend struct {
	driver  string
	dialect outbox.Dialect
	// open returns the queue, as each process sees it.
	open func(db *sql.DB, d outbox.Dialect) (full, error)
	// redis are the settings of the server that has the queue; nil: none has.
	redis []string
	// volatile says that the server may lose what it acknowledged.
	volatile bool
}

func openOutbox(db *sql.DB, d outbox.Dialect) (full, error) {
	return outbox.New(db, d, &outbox.Options{Table: "ledger_queue"})
}

var backends = map[string]backend{
	"outbox-postgres": {driver: "pgx", dialect: outbox.PostgreSQL, open: openOutbox},
	"outbox-sqlite":   {driver: "sqlite", dialect: outbox.SQLite, open: openOutbox},
	"redis": {driver: "pgx", dialect: outbox.PostgreSQL, open: openRedis,
		redis: []string{"--appendonly", "yes", "--appendfsync", "always"}},
	"redis-volatile": {driver: "pgx", dialect: outbox.PostgreSQL, open: openRedis,
		redis: []string{"--appendonly", "no"}, volatile: true},
}

// process is what every process of the test begins with.
type process struct {
	db     *sql.DB
	source *source
	queue  full

	volatile bool // whether that is taken into use all the same
}

func newProcess(backendName, dsn string) (*process, error) {
	b, ok := backends[backendName]
	if !ok {
		return nil, fmt.Errorf("no backend %q", backendName)
	}
	db, err := sql.Open(b.driver, dsn)
	if err != nil {
		return nil, err
	}
	q, err := b.open(db, b.dialect)
	return &process{db: db, source: &source{db: db, dialect: b.dialect, errors: 0.1}, queue: q, volatile: b.volatile}, err
}

// behind returns the repository that clients and workers use.
func (p *process) behind(q queue.Queue, client bool) (*patterns.WriteBehind[int, int64], error) {
	return patterns.NewWriteBehind(context.Background(), nil, p.source, q, patterns.Entity[int, int64]{}, &patterns.WriteBehindOptions[int, int64]{
		Interval: 10 * time.Millisecond, BatchSize: 10, Workers: 2, Visibility: time.Second,
		MaxAttempts: 4, Backoff: 5 * time.Millisecond, MaxBackoff: 50 * time.Millisecond, NoWorkers: client, AllowVolatile: p.volatile,
	})
}

// begin is behind in a process that may have been started while the queue's server
// was killed.
func (p *process) begin(q queue.Queue, client bool) (w *patterns.WriteBehind[int, int64], err error) {
	for range 100 {
		w, err = p.behind(q, client)
		if !errors.Is(err, cache.ErrUnavailable) && !errors.Is(err, cache.ErrOutcomeUnknown) {
			return w, err
		}
		time.Sleep(100 * time.Millisecond) // the server tells nobody when it is back
	}
	return w, err
}

// child runs the process that the environment asks for, and never returns from
// that.
func child() {
	role := os.Getenv(envRole)
	if role == "" {
		return
	}
	p, err := newProcess(os.Getenv(envQueue), os.Getenv(envDSN))
	if err == nil && role == "client" {
		err = p.client()
	} else if err == nil {
		err = p.worker()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, role, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// orphaned ends the process when its parent, which holds the other end of its
// input, is gone.
func orphaned() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// worker drains the queue until it is killed.
func (p *process) worker() error {
	var q queue.Queue = p.queue
	if name := os.Getenv(envNaive); name != "" {
		q = naive[name](p)
	}
	if _, err := p.begin(q, false); err != nil {
		return err
	}
	orphaned()
	return nil
}

const (
	writers    = 4 // of a client, each with keys and a ledger of its own
	keysEach   = 8 // of a writer
	hot        = 3 // so often does a writer write its first key more
	onceEvery  = 3 // writes, one is of a key that is written once
	onceFirst  = 1_000_000
	pauseEvery = 50 // writes
)

// client writes until its input ends, and notes each write that was acknowledged.
func (p *process) client() error {
	number, err := strconv.Atoi(os.Getenv(envClient))
	if err != nil {
		return err
	}
	w, err := p.begin(p.queue, true)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	var all sync.WaitGroup
	errs := make(chan error, writers)
	for i := range writers {
		l := &ledgerWriter{w: w, base: (number*writers + i) * keysEach}
		all.Go(func() { errs <- l.run(filepath.Join(os.Getenv(envFolder), fmt.Sprint("ledger", l.base)), stop) })
	}
	all.Wait()
	close(errs)
	var joined error
	for err := range errs {
		joined = errors.Join(joined, err)
	}
	return joined
}

// ledgerWriter writes its keys with rising numbers.
type ledgerWriter struct {
	w    *patterns.WriteBehind[int, int64]
	base int
	n    [keysEach]int64
}

func (l *ledgerWriter) run(path string, stop <-chan struct{}) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		default:
		}
		id, n := l.next(i)
		if err := l.w.Save(context.Background(), id, n); err != nil {
			time.Sleep(time.Millisecond)
			continue // not acknowledged: it may be there or not
		}
		if _, err := fmt.Fprintln(file, id, n); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		if i%pauseEvery == 0 {
			time.Sleep(10 * time.Millisecond) // for the workers, on a small machine
		}
	}
}

// next returns the i-th write.
func (l *ledgerWriter) next(i int) (id int, n int64) {
	if i%onceEvery == 0 {
		return onceFirst*(l.base+1) + i, 1
	}
	at := 0
	if i%(hot+1) == 1 {
		at = i / (hot + 1) % keysEach
	}
	l.n[at]++
	return l.base + at, l.n[at]
}

// readLedgers returns the last number of each key that was acknowledged, and how
// many were.
func readLedgers(folder string) (last map[int]int64, acknowledged int, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "ledger*"))
	if err != nil {
		return nil, 0, err
	}
	last = map[int]int64{}
	for _, path := range files {
		n, err := readLedger(path, last)
		if err != nil {
			return nil, 0, err
		}
		acknowledged += n
	}
	return last, acknowledged, nil
}

func readLedger(path string, last map[int]int64) (n int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var id int
		var number int64
		if _, err := fmt.Sscan(lines.Text(), &id, &number); err != nil {
			return n, err
		}
		last[id] = max(last[id], number)
		n++
	}
	return n, lines.Err()
}

// spawned is a process of the test.
type spawned struct {
	cmd   *exec.Cmd
	input io.Closer
}

func spawn(t *testing.T, role string, env ...string) *spawned {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, envRole+"="+role)...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return &spawned{cmd, input}
}

// kill ends the process at once, wherever it is.
func (s *spawned) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = s.input.Close()
}

// end lets the process end by itself.
func (s *spawned) end() error {
	_ = s.input.Close()
	return s.cmd.Wait()
}
