package ledger_test

import (
	"testing"
	"time"

	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/outbox"
)

// A source that keeps sequences takes nothing lower: not if the table was lost, and
// not if there was a queue of another kind before, whose sequences are times.
func TestOutboxSequencesSurviveTheTable(t *testing.T) {
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			db := database(t, d).Open(t)
			q := newOutbox(t, db, d, "queue")
			drop := []string{"DROP TABLE queue", "DROP SEQUENCE queue_sequence"}
			if d == outbox.SQLite {
				drop[1] = "DROP TABLE queue_sequence"
			}
			last := uint64(time.Now().Add(-time.Minute).UnixMicro()) // clocks may differ
			for range 2 {
				for i := range uint64(2) {
					if err := q.CreateTable(t.Context()); err != nil {
						t.Fatal(err)
					}
					sequence, err := q.Enqueue(t.Context(), queue.Write{Key: "a"})
					if err != nil || sequence <= last || i > 0 && sequence != last+1 {
						t.Fatalf("Enqueue: got sequence %d, %v after %d; want a higher one, and in one table the next", sequence, err, last)
					}
					last = sequence
				}
				for _, statement := range drop {
					if _, err := db.ExecContext(t.Context(), statement); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}
