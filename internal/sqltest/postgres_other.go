//go:build !linux

package sqltest

import "testing"

// Server is a PostgreSQL server that a test owns.
type Server struct{}

// Postgres skips the test: its server runs on Linux only.
func Postgres(tb testing.TB) *Server {
	tb.Helper()
	tb.Skip("the PostgreSQL of these tests runs on Linux only")
	return nil
}

// Database fails the test: there is no server.
func (s *Server) Database(tb testing.TB) Database {
	tb.Helper()
	tb.Fatal("there is no PostgreSQL here")
	return Database{}
}
