package ledger_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/outbox"
)

// Processes that start together create the table together, and all may go on.
func TestOutboxIsCreatedByManyAtOnce(t *testing.T) {
	const clients = 6
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			database := database(t, d)
			var queues [clients][10]*outbox.Queue // each client's, by round
			for i := range queues {
				db := database.Open(t)
				for round := range queues[i] {
					queues[i][round] = newOutbox(t, db, d, fmt.Sprint("queue_", round))
				}
			}
			for round := range queues[0] {
				var all sync.WaitGroup
				start := make(chan struct{})
				var errs [clients]error
				var sequences [clients]uint64
				for i := range queues {
					all.Go(func() {
						<-start
						q := queues[i][round]
						if errs[i] = q.CreateTable(t.Context()); errs[i] == nil {
							sequences[i], errs[i] = q.Enqueue(t.Context(), queue.Write{Key: fmt.Sprint(i)})
						}
					})
				}
				close(start)
				all.Wait()
				if err := errors.Join(errs[:]...); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				seen := map[uint64]bool{}
				for _, s := range sequences {
					if seen[s] {
						t.Errorf("round %d: the sequence %d was given twice", round, s)
					}
					seen[s] = true
				}
			}
		})
	}
}

// A migration that creates the table by Schema is committed while CreateTable waits
// for it.
func TestOutboxIsCreatedBesideAMigration(t *testing.T) {
	database := database(t, outbox.PostgreSQL)
	db := database.Open(t)
	migration, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range outbox.Schema(outbox.PostgreSQL, "queue") {
		if _, err := migration.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	q := newOutbox(t, database.Open(t), outbox.PostgreSQL, "queue")
	created := make(chan error)
	go func() { created <- q.CreateTable(t.Context()) }()
	for waiting := 0; waiting == 0; { // a CreateTable that never waits runs into the test's limit
		err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01) WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := migration.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-created; err != nil {
		t.Fatalf("CreateTable: got %v, want none: the table is there", err)
	}
	if _, err := q.Enqueue(t.Context(), queue.Write{Key: "a"}); err != nil {
		t.Error(err)
	}
}
