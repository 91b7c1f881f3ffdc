package sqltest_test

import (
	"testing"

	"github.com/larder-go/larder/internal/sqltest"
)

func TestDatabases(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testDatabases(t, sqltest.SQLite) })
	t.Run("PostgreSQL", func(t *testing.T) { testDatabases(t, sqltest.Postgres(t).Database) })
}

// testDatabases checks that a new database is empty, is one for all who open it,
// and is no other's.
func testDatabases(t *testing.T, open func(testing.TB) sqltest.Database) {
	one, other := open(t), open(t)
	for _, d := range []sqltest.Database{one, other} {
		if _, err := d.Open(t).Exec("CREATE TABLE t (n int)"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := one.Open(t).Exec("INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[sqltest.Database]int{one: 1, other: 0} {
		var got int
		if err := d.Open(t).QueryRow("SELECT count(*) FROM t").Scan(&got); err != nil || got != want {
			t.Errorf("found %d rows, %v, want %d", got, err, want)
		}
	}
}
