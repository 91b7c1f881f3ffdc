// Package queuetest tests that a queue keeps the contract of package queue: each
// case checks one rule and prints it when it fails. A new kind of queue runs
// [Run] in a test of its own; nothing else is needed to be used with package
// patterns.
package queuetest
