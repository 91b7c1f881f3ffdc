package outbox

import (
	"fmt"
	"strings"
)

// Schema returns the statements that create a queue's table, index and sequence
// where they are not there yet.
//
// A row is one key: head is what is written next, tail what waits behind it.
// Times are microseconds since 1970; state is 0 (due at due), 1 (claimed until
// due) or 2 (dead). The first sequence is a time, too: those of before, if the table was
// lost or there was a queue of another kind, are lower.
func Schema(d Dialect, table string) []string {
	bytes := "BYTEA"
	if d == SQLite {
		bytes = "BLOB"
	}
	index := strings.ReplaceAll(table, ".", "_") + "_due"
	all := []string{
		fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (
	key %[2]s NOT NULL PRIMARY KEY,
	state SMALLINT NOT NULL DEFAULT 0, was SMALLINT NOT NULL DEFAULT 0,
	due BIGINT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, token BIGINT NOT NULL DEFAULT 0,
	reason TEXT NOT NULL DEFAULT '', died BIGINT NOT NULL DEFAULT 0,
	head_payload %[2]s NOT NULL, head_deleted SMALLINT NOT NULL, head_whole SMALLINT NOT NULL,
	head_tried SMALLINT NOT NULL DEFAULT 0, head_sequence BIGINT NOT NULL, head_first BIGINT NOT NULL,
	head_since BIGINT NOT NULL, head_writes BIGINT NOT NULL DEFAULT 1,
	tail_payload %[2]s, tail_deleted SMALLINT, tail_whole SMALLINT,
	tail_sequence BIGINT, tail_first BIGINT, tail_since BIGINT, tail_writes BIGINT
)`, table, bytes),
		fmt.Sprintf("CREATE INDEX IF NOT EXISTS %s ON %s (due, head_first) WHERE state < 2", index, table),
	}
	if d == SQLite {
		return append(all,
			fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s_sequence (id INTEGER PRIMARY KEY CHECK (id = 1), last BIGINT NOT NULL)", table),
			expander(d, table)("INSERT INTO {table}_sequence (id, last) VALUES (1, {now}) ON CONFLICT (id) DO NOTHING"))
	}
	return append(all, fmt.Sprintf("CREATE SEQUENCE IF NOT EXISTS %s_sequence", table),
		expander(d, table)("SELECT setval('{table}_sequence', {now}) FROM {table}_sequence WHERE NOT is_called"))
}

// statements are the queue's, for one dialect and table.
type statements struct {
	enqueue            [3]string // by queue.Mode; Merge: onto nothing
	onto               string    // Merge, onto an open item
	lookup             string    // up to the list of keys
	claim              string
	done, promote      string // up to the list of claims
	fail               string
	stats, next, last  string
	before             string
	dead, revive       string
	drop, dropPromoted string
	preflight          []preflight
}

// preflight is a setting with which acknowledged writes may be lost.
type preflight struct {
	setting, query string
	bad            []string
}

const (
	// item are the columns of an item, each after head_ or tail_.
	itemColumns = `head_payload, head_deleted, head_tried, head_sequence, head_first, head_writes, {now} - head_since,
	tail_payload, tail_deleted, tail_sequence, tail_first, tail_writes, {now} - tail_since`

	emptyTail = `tail_payload = NULL, tail_deleted = NULL, tail_whole = NULL, tail_sequence = NULL,
	tail_first = NULL, tail_since = NULL, tail_writes = NULL`

	// promoted makes the tail the head.
	promoted = `head_payload = tail_payload, head_deleted = tail_deleted, head_whole = tail_whole, head_tried = 0,
	head_sequence = tail_sequence, head_first = tail_first, head_since = tail_since, head_writes = tail_writes,
	state = 0, attempts = 0, reason = '', due = {now}, ` + emptyTail
)

// when returns the assignments for which a condition decides: column by column,
// then where it holds, and otherwise.
func when(condition string, columns ...[3]string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = fmt.Sprintf("%s = CASE WHEN %s THEN %s ELSE %s END", c[0], condition, c[1], c[2])
	}
	return strings.Join(parts, ",\n\t")
}

// put returns the assignments that put a new item into the row o: in the place
// of head (and of tail) where toHead holds, and else of tail.
func put(toHead, payload, deleted, whole, sequence string) string {
	return when(toHead,
		[3]string{"head_payload", payload, "o.head_payload"}, [3]string{"tail_payload", "NULL", payload},
		[3]string{"head_deleted", deleted, "o.head_deleted"}, [3]string{"tail_deleted", "NULL", deleted},
		[3]string{"head_whole", whole, "o.head_whole"}, [3]string{"tail_whole", "NULL", whole},
		[3]string{"head_sequence", sequence, "o.head_sequence"}, [3]string{"tail_sequence", "NULL", sequence},
		[3]string{"head_tried", "0", "o.head_tried"},
		[3]string{"head_writes", "o.head_writes + COALESCE(o.tail_writes, 0) + 1", "o.head_writes"},
		[3]string{"tail_writes", "NULL", "COALESCE(o.tail_writes, 0) + 1"},
		[3]string{"tail_first", "NULL", "COALESCE(o.tail_first, " + sequence + ")"},
		[3]string{"tail_since", "NULL", "COALESCE(o.tail_since, {now})"},
		[3]string{"due", "CASE WHEN o.state = 2 THEN {now} ELSE o.due END", "o.due"},
		[3]string{"attempts", "0", "o.attempts"}, [3]string{"state", "0", "o.state"},
		[3]string{"reason", "''", "o.reason"},
	)
}

// replaced returns the assignments that put a whole tail in the place of the
// head, where the condition holds, without state, attempts and due.
func replaced(condition string) string {
	return when(condition,
		[3]string{"head_payload", "tail_payload", "head_payload"}, [3]string{"tail_payload", "NULL", "tail_payload"},
		[3]string{"head_deleted", "tail_deleted", "head_deleted"}, [3]string{"tail_deleted", "NULL", "tail_deleted"},
		[3]string{"head_whole", "tail_whole", "head_whole"}, [3]string{"tail_whole", "NULL", "tail_whole"},
		[3]string{"head_sequence", "tail_sequence", "head_sequence"}, [3]string{"tail_sequence", "NULL", "tail_sequence"},
		[3]string{"head_writes", "head_writes + tail_writes", "head_writes"}, [3]string{"tail_writes", "NULL", "tail_writes"},
		[3]string{"tail_first", "NULL", "tail_first"}, [3]string{"tail_since", "NULL", "tail_since"},
	)
}

const (
	openIsHead = "o.tail_sequence IS NULL AND o.head_tried = 0"
	// openSequence is the sequence that a Merge is onto, 0 for none.
	openSequence = "COALESCE(o.tail_sequence, CASE WHEN o.head_tried = 1 THEN 0 ELSE o.head_sequence END)"
	written      = "RETURNING head_sequence, head_writes, tail_sequence, tail_writes"
)

func newStatements(d Dialect, table string) statements {
	expand := expander(d, table)
	upsert := func(toHead, where string) string {
		insert := `INSERT INTO {table} AS o (key, due, head_payload, head_deleted, head_whole, head_sequence, head_first, head_since)
VALUES ($1, {now}, $2, $3, $4, {sequence}, {sequence}, {now})
ON CONFLICT (key) DO UPDATE SET ` + put(toHead, "excluded.head_payload", "excluded.head_deleted", "excluded.head_whole", "excluded.head_sequence")
		return expand("{locked}" + insert + where + "\n" + written)
	}
	onto := "{locked}UPDATE {table} AS o SET " + put(openIsHead, "$2", "$3", "$4", "{sequence}") +
		" WHERE key = $1 AND " + openSequence + " = {onto} " + written
	s := statements{
		enqueue: [3]string{
			upsert("(o.state <> 1 OR ("+openIsHead+"))", ""),
			upsert("("+openIsHead+")", ""),
			upsert("("+openIsHead+")", " WHERE "+openSequence+" = 0"),
		},
		onto:    expand(onto),
		lookup:  expand("SELECT key, state, " + itemColumns + " FROM {table} WHERE key IN "),
		claim:   expand(claimSQL(d)),
		done:    expand("DELETE FROM {table} WHERE tail_sequence IS NULL AND state = 1 AND "),
		promote: expand("UPDATE {table} SET " + promoted + " WHERE tail_sequence IS NOT NULL AND state = 1 AND "),
		fail: expand("UPDATE {table} SET " + replaced("tail_whole = 1") + ",\n\t" + when("tail_whole = 1",
			[3]string{"head_tried", "0", "1"}, [3]string{"attempts", "0", "attempts - $4"},
			[3]string{"state", "0", "$5"}, [3]string{"reason", "''", "$6"}) +
			", due = {now} + $7, died = {now} WHERE key = $1 AND head_sequence = $2 AND token = $3 AND state = 1 RETURNING state, head_sequence"),
		stats: expand(`SELECT CAST(COALESCE(SUM(CASE WHEN state < 2 THEN 1 ELSE 0 END), 0) + COUNT(tail_sequence) AS BIGINT),
	CAST(COALESCE(SUM(CASE WHEN state = 1 AND due > {now} THEN 1 ELSE 0 END), 0) AS BIGINT),
	CAST(COALESCE(SUM(CASE WHEN state = 2 THEN 1 ELSE 0 END), 0) AS BIGINT),
	CAST(COALESCE(SUM(LENGTH(key) + LENGTH(head_payload) + COALESCE(LENGTH(tail_payload), 0)), 0) AS BIGINT),
	COALESCE({now} - MIN(CASE WHEN state < 2 THEN head_since ELSE tail_since END), 0) FROM {table}`),
		before: expand(`SELECT CAST(COALESCE(SUM(CASE WHEN head_first <= $1 THEN 1 ELSE 0 END + CASE WHEN tail_first <= $1 THEN 1 ELSE 0 END), 0) AS BIGINT)
FROM {table} WHERE state < 2`),
		dead:         expand("SELECT key, attempts, reason, {now} - died, " + itemColumns + " FROM {table} WHERE state = 2 AND key > $1 ORDER BY key LIMIT $2"),
		revive:       expand("UPDATE {table} SET state = 0, attempts = 0, reason = '', due = {now} WHERE key = $1 AND head_sequence = $2 AND state = 2"),
		drop:         expand("DELETE FROM {table} WHERE key = $1 AND head_sequence = $2 AND state = 2 AND tail_sequence IS NULL"),
		dropPromoted: expand("UPDATE {table} SET " + promoted + " WHERE key = $1 AND head_sequence = $2 AND state = 2 AND tail_sequence IS NOT NULL"),
	}
	if d == SQLite {
		s.next = expand("UPDATE {table}_sequence SET last = last + 1 RETURNING last")
		s.last = expand("SELECT last FROM {table}_sequence")
		s.preflight = []preflight{
			{"synchronous", "PRAGMA synchronous", []string{"0"}},
			{"journal mode", "PRAGMA journal_mode", []string{"memory", "off"}},
		}
		return s
	}
	s.next = expand("SELECT nextval('{table}_sequence')")
	s.last = expand("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {table}_sequence")
	s.preflight = []preflight{
		{"fsync", "SHOW fsync", []string{"off"}},
		{"synchronous_commit", "SHOW synchronous_commit", []string{"off"}},
	}
	return s
}

// claimSQL claims what is due: what failed, or was never claimed, and what a
// worker did not settle in time; that is replaced by a newer whole value.
func claimSQL(d Dialect) string {
	lapsed := "state = 1 AND tail_whole = 1"
	due := "SELECT key FROM {table} WHERE state < 2 AND due <= {now} ORDER BY due, head_first LIMIT $1"
	if d == PostgreSQL {
		due += " FOR UPDATE SKIP LOCKED"
	}
	return "WITH due AS MATERIALIZED (" + due + ")\nUPDATE {table} SET " + replaced(lapsed) + ",\n\t" +
		when(lapsed, [3]string{"attempts", "1", "attempts + 1"}) +
		`, head_tried = 1, was = state, state = 1, token = token + 1, due = {now} + $2 WHERE key IN (SELECT key FROM due)
RETURNING key, head_payload, head_deleted, head_sequence, head_first, head_writes, {now} - head_since, attempts, token, was`
}

// expander returns a function that fills in what differs by dialect and table.
//
// On PostgreSQL an Enqueue takes its sequence after it has got the key's
// advisory lock. Otherwise it might take one, wait for another Enqueue of the key,
// and store its own, lower one after the other was claimed, written and gone.
func expander(d Dialect, table string) func(string) string {
	if d == SQLite {
		return strings.NewReplacer("{table}", table, "{locked}", "", "{sequence}", "?5", "{onto}", "?6", "$", "?",
			"{now}", "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)").Replace
	}
	locked := `WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock($5)),
s AS MATERIALIZED (SELECT nextval('` + table + `_sequence') AS v FROM locked)
`
	return strings.NewReplacer("{table}", table, "{locked}", locked, "{sequence}", "(SELECT v FROM s)", "{onto}", "$6",
		"{now}", "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)").Replace
}
