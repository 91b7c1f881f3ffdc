package main

import (
	"os"
	"strings"
	"testing"
)

// The program in the README is this one, to the letter.
func TestReadmeShowsThisProgram(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "\n```go\n"+string(program)+"```\n") {
		t.Error("README.md shows another program than main.go")
	}
}

func Example() {
	main()
	// Output: product 42 <nil>
}
