package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/sqltest"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/outbox"
)

// rows is a table on PostgreSQL that is written row by row.
type rows struct{ db *sql.DB }

func (r rows) Find(ctx context.Context, id int) (n int64, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT n FROM drained WHERE id = $1", id).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, cache.ErrNotFound
	}
	return n, err
}

const upsert = "INSERT INTO drained (id, n) VALUES %s ON CONFLICT (id) DO UPDATE SET n = excluded.n"

var upsertOne = fmt.Sprintf(upsert, "($1, $2)")

func (r rows) Save(ctx context.Context, id int, n int64) error {
	_, err := r.db.ExecContext(ctx, upsertOne, id, n)
	return err
}

func (r rows) Delete(ctx context.Context, id int) error {
	_, err := r.db.ExecContext(ctx, "DELETE FROM drained WHERE id = $1", id)
	return err
}

// batches is the same with SaveMany.
type batches struct{ rows }

func (b batches) SaveMany(ctx context.Context, values map[int]int64) error {
	var list strings.Builder
	args := make([]any, 0, 2*len(values))
	for id, n := range values {
		if len(args) > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "($%d, $%d)", len(args)+1, len(args)+2)
		args = append(args, id, n)
	}
	_, err := b.db.ExecContext(ctx, fmt.Sprintf(upsert, list.String()), args...)
	return err
}

// BenchmarkDrain measures how fast what is queued gets into PostgreSQL: one row
// at a time, as Save does it, and in batches of 100 with SaveMany.
func BenchmarkDrain(b *testing.B) {
	db := sqltest.Postgres(b).Database(b).Open(b)
	if _, err := db.Exec("CREATE TABLE drained (id INTEGER PRIMARY KEY, n BIGINT NOT NULL)"); err != nil {
		b.Fatal(err)
	}
	n := 0
	queues := map[string]func() queue.Queue{
		"memory": func() queue.Queue {
			q, err := queue.NewMemory(nil)
			if err != nil {
				b.Fatal(err)
			}
			return q
		},
		"outbox": func() queue.Queue {
			n++
			q := newOutbox(b, db, outbox.PostgreSQL, fmt.Sprint("drain_", n))
			if err := q.CreateTable(context.Background()); err != nil {
				b.Fatal(err)
			}
			return q
		},
	}
	for queueName, newQueue := range queues {
		for name, source := range map[string]patterns.Repository[int, int64]{"rows": rows{db}, "batches": batches{rows{db}}} {
			b.Run(queueName+"/"+name, func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					w := filled(b, source, newQueue())
					b.StartTimer()
					began := time.Now()
					if err := w.Close(context.Background()); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(drained())/time.Since(began).Seconds(), "rows/s")
				}
			})
		}
	}
}

// drained is how many writes a queue is filled with.
func drained() int {
	if testing.Short() {
		return 200
	}
	return 2000
}

// filled returns a repository on a queue that another one has filled, without
// having written anything.
func filled(b *testing.B, source patterns.Repository[int, int64], q queue.Queue) *patterns.WriteBehind[int, int64] {
	b.Helper()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	filler := open(b, source, q, drained()+1)
	for i := range drained() {
		if err := filler.Save(context.Background(), i, int64(i)); err != nil {
			b.Fatal(err)
		}
	}
	var left *patterns.RemainingError
	if err := filler.Close(ended); !errors.As(err, &left) || left.Queued != drained() {
		b.Fatalf("got %v, want all still queued", err)
	}
	return open(b, source, q, 100)
}

func open(b *testing.B, source patterns.Repository[int, int64], q queue.Queue, batch int) *patterns.WriteBehind[int, int64] {
	b.Helper()
	w, err := patterns.NewWriteBehind(context.Background(), nil, source, q, patterns.Entity[int, int64]{},
		&patterns.WriteBehindOptions[int, int64]{Interval: time.Hour, BatchSize: batch})
	if err != nil {
		b.Fatal(err)
	}
	return w
}
