// Package sqltest brings up SQL databases for larder's own tests: SQLite in a file
// of the test's folder, and a PostgreSQL server of the test's own.
//
// Everything here belongs to one test and ends with it. Processes that the test
// starts may open the same databases, by Database.Driver and Database.DSN.
package sqltest
