package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/inspect"
	"github.com/larder-go/larder/distributed/near"
	"github.com/larder-go/larder/queue"
)

// fromHere lets in who sits at this machine. The Host must name it, too: a page
// elsewhere could have a name of its own point here.
func fromHere(r *http.Request) bool {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !net.ParseIP(from).IsLoopback() {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// addPanels shows in the inspector what it does not know by itself.
func (s *shop) addPanels(context.Context, config, *sources) error {
	if n, ok := cache.As[*near.Cache](s.cache); ok {
		if err := s.inspector.AddPanel(inspect.Panel{Title: "Near cache", Rows: nearRows(n)}); err != nil {
			return err
		}
	}
	return s.inspector.AddPanel(inspect.Panel{
		Title: "Write-behind of views",
		Rows:  s.queueRows,
		Actions: []inspect.Action{{Name: "Retry", OnRows: true, Run: func(ctx context.Context, id string) error {
			return s.retryByID(ctx, id)
		}}},
	})
}

func nearRows(n *near.Cache) func(context.Context) ([]inspect.Row, error) {
	return func(context.Context) ([]inspect.Row, error) {
		contact, stats := n.Contact(), n.NearStats()
		return []inspect.Row{
			{Name: "contact", Value: contact.State.String(), Bad: !contact.Serving},
			{Name: "lag", Value: contact.Lag.Round(time.Microsecond).String()},
			{Name: "lost", Value: strconv.FormatUint(contact.Lost, 10), Bad: contact.Lost > 0},
			{Name: "hits here", Value: strconv.FormatUint(stats.Hits, 10)},
			{Name: "changes heard of", Value: strconv.FormatUint(stats.Changes, 10)},
		}, nil
	}
}

func (s *shop) queueRows(ctx context.Context) ([]inspect.Row, error) {
	st, err := s.views.status(ctx)
	if err != nil {
		return nil, err
	}
	q := st.Queue.Queue
	rows := []inspect.Row{
		{Name: "queued", Value: fmt.Sprintf("%d, the oldest for %v", q.Queued, q.Oldest.Round(time.Millisecond)), Bad: q.Oldest > 5*time.Second},
		{Name: "accepted", Value: fmt.Sprintf("%d, of these merged: %d", q.Enqueued, q.Coalesced)},
	}
	for _, l := range st.Letters {
		rows = append(rows, inspect.Row{Name: "dead letter", Key: l.Key, Value: fmt.Sprintf("%d attempts", l.Attempts),
			Bad: true, ID: strconv.FormatUint(l.Sequence, 10)})
	}
	return rows, nil
}

// retryByID retries the dead letter with this sequence: a row's ID must not be a
// key.
func (s *shop) retryByID(ctx context.Context, id string) error {
	st, err := s.views.status(ctx)
	if err != nil {
		return err
	}
	for _, l := range st.Letters {
		if strconv.FormatUint(l.Sequence, 10) == id {
			return s.views.settle(ctx, l.Key, l.Sequence, true)
		}
	}
	return queue.ErrNoDeadLetter
}
