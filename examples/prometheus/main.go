// Prometheus shows a cache's metrics where Prometheus can scrape them. They come
// from cache/otelcache, through OpenTelemetry's exporter; what needs a person's
// attention goes to the log.
//
//	go run ./examples/prometheus                                    makes some traffic, prints one scrape and ends
//	go run ./examples/prometheus -serve localhost:2112              goes on, to be scraped at /metrics
//	go run ./examples/prometheus -redis redis://localhost:6379/0    the same on a Redis
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/observe"
	"github.com/larder-go/larder/cache/otelcache"
)

func main() {
	redis := flag.String("redis", "", "URL of a Redis to use instead of the embedded cache")
	serve := flag.String("serve", "", "address at which to go on serving /metrics, as in localhost:2112")
	plain := flag.Bool("plain", false, "print only the numbers that are the same in every run and not 0")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *redis, *serve, *plain); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, redis, serve string, plain bool) (err error) {
	url, layer := "memory://", "memory"
	if redis != "" {
		url, layer = redis, "redis"
	}

	// OpenTelemetry's metrics, collected whenever the registry is scraped.
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return err
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer func() { err = errors.Join(err, meters.Shutdown(context.WithoutCancel(ctx))) }()

	// The cache tells its events to the metrics and to the log; its counters are
	// read at each scrape.
	metrics, err := otelcache.New(otelcache.Options{MeterProvider: meters, Name: "products"})
	if err != nil {
		return err
	}
	events := observe.NewLog(slog.New(slog.NewTextHandler(os.Stderr, nil)), &observe.LogOptions{Name: "products"})
	c, err := larder.Open(url, &larder.Options{
		Prefix:   "larder-prometheus:",
		Observer: observe.All(metrics.Observer(), events),
	})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, c.Close(context.WithoutCancel(ctx)))
		events.Flush(context.WithoutCancel(ctx))
	}()
	if _, err := metrics.Register(layer, c); err != nil {
		return err
	}

	if err := traffic(ctx, c); err != nil {
		return err
	}
	if serve == "" {
		return scrape(out, registry, plain)
	}
	return serveMetrics(ctx, out, serve, registry, func() error { return traffic(ctx, c) })
}

var errDatabase = errors.New("database is down")

// traffic reads and writes some products, in the same way each time.
func traffic(ctx context.Context, c cache.Cache) error {
	products := cache.NewLoading(c, func(_ context.Context, id int, _ *cache.Entry) (string, error) {
		switch {
		case id == 13:
			return "", errDatabase
		case id > 100:
			return "", cache.ErrNotFound
		}
		return fmt.Sprint("product ", id), nil
	}, &cache.LoadingOptions[int, string]{AppendKey: func(dst []byte, id int) []byte {
		return strconv.AppendInt(append(dst, "product:"...), int64(id), 10)
	}})
	for id := range 20 {
		if err := products.Remove(ctx, id); err != nil {
			return err
		}
	}
	for range 5 {
		for id := range 20 {
			if _, err := products.Get(ctx, id); err != nil && !errors.Is(err, errDatabase) {
				return err
			}
		}
	}
	if _, err := products.Get(ctx, 101); !errors.Is(err, cache.ErrNotFound) {
		return err
	}
	return nil
}

// serveMetrics serves /metrics and makes traffic each second, until ctx ends.
func serveMetrics(ctx context.Context, out io.Writer, addr string, registry *prometheus.Registry, work func() error) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintf(out, "serving http://%s/metrics\n", listener.Addr())

	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := work(); err != nil && ctx.Err() == nil {
				slog.Warn("traffic failed", "error_type", observe.ErrorType(err))
			}
		case err := <-ended:
			return err
		case <-ctx.Done():
			err := server.Shutdown(context.WithoutCancel(ctx))
			<-ended
			return err
		}
	}
}
