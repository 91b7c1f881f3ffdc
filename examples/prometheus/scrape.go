package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrape prints what Prometheus would get. If plain, only numbers that are the
// same in every run and not 0: no comments, sizes or times.
func scrape(out io.Writer, registry *prometheus.Registry, plain bool) error {
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()
	reply, err := http.Get(server.URL)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if plain && !isPlain(line) {
			continue
		}
		if _, err := fmt.Fprint(out, line); err != nil {
			return err
		}
	}
	return nil
}

func isPlain(line string) bool {
	name, _, _ := strings.Cut(line, "{")
	for _, varies := range []string{"_seconds_bucket", "_seconds_sum", "_bytes"} {
		if strings.HasSuffix(name, varies) {
			return false
		}
	}
	return !strings.HasPrefix(line, "#") && !strings.HasSuffix(line, " 0\n")
}
