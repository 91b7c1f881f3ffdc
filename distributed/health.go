package distributed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
)

// Health is what Ping found: each server node that it asked.
type Health struct {
	Nodes []Node // ordered by address
}

// Warnings returns the warnings of all nodes.
func (h Health) Warnings() []Warning {
	var all []Warning
	for _, n := range h.Nodes {
		all = append(all, n.Warnings...)
	}
	return all
}

// Node is one server. What could not be found out is empty, with a WarnUnknown.
type Node struct {
	Addr     string
	Role     string        // "master" or "slave", as the server says it
	Version  string        // as in "7.0.15"
	Latency  time.Duration // of one PING
	Warnings []Warning
}

// Warning is one thing about a server that larder's user should know.
type Warning struct {
	Kind   WarningKind
	Detail string // what the server said, as in "allkeys-lru"; never a key
}

// WarningKind says what a Warning is about.
type WarningKind uint8

const (
	// WarnUnknown: the server would not or could not say; Detail: what.
	WarnUnknown WarningKind = iota
	// WarnMayEvict: the server drops entries when its memory is full; Detail:
	// its maxmemory-policy. That is fine for a cache and not for a queue.
	WarnMayEvict
	// WarnOldServer: older than Redis 7.0, so that leases take a script;
	// Detail: the version.
	WarnOldServer
	// WarnReplica: a replica, which refuses writes; Detail: its role.
	WarnReplica
	// WarnClusterState: the Cluster does not serve every slot; Detail: its
	// state.
	WarnClusterState
	// WarnDenied: the user may not run a command that larder needs; Detail: the
	// command.
	WarnDenied
	// WarnNotPersistent: neither snapshots nor an append-only file are on, so a
	// restart empties the cache.
	WarnNotPersistent
)

var warningNames = [...]string{
	WarnUnknown: "unknown", WarnMayEvict: "may_evict", WarnOldServer: "old_server", WarnReplica: "replica",
	WarnClusterState: "cluster_state", WarnDenied: "denied", WarnNotPersistent: "not_persistent",
}

// String returns the kind's name, as in "may_evict".
func (k WarningKind) String() string {
	if int(k) < len(warningNames) {
		return warningNames[k]
	}
	return "WarningKind(" + strconv.Itoa(int(k)) + ")"
}

// Ping asks every server node whether it is there and fit to be a cache, past
// the breaker. An error means that a node does not answer (cache.ErrUnavailable)
// or that ctx ended; the Health then holds the nodes that did. What a server
// will not tell is a warning. It costs up to four round trips per node, each
// within Options.Budget; it is for start-up and readiness checks, not for every
// request.
func (c *Cache) Ping(ctx context.Context) (Health, error) {
	const op = "ping"
	if err := c.begin(ctx); err != nil {
		return Health{}, err
	}
	var mu sync.Mutex
	var h Health
	err := c.transport.ForEachNode(ctx, func(ctx context.Context, client *redis.Client) error {
		node, err := c.examine(ctx, client)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		h.Nodes = append(h.Nodes, node)
		return nil
	})
	slices.SortFunc(h.Nodes, func(a, b Node) int { return strings.Compare(a.Addr, b.Addr) })
	over := ended(ctx)
	switch {
	case err == nil:
		return h, nil
	case over != nil:
		err = over
	case !errors.Is(err, cache.ErrClosed) && !errors.Is(err, cache.ErrUnavailable):
		err = fmt.Errorf("%w: %w", cache.ErrUnavailable, err)
	}
	return h, failed(op, "", err)
}

// ended returns the context's error also if its deadline is over and its timer
// has not fired yet: a connection's timer for the same moment may come first.
func ended(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// examine asks one node. Only a PING without an answer is an error.
func (c *Cache) examine(ctx context.Context, client *redis.Client) (Node, error) {
	n := Node{Addr: client.Options().Addr}
	start := time.Now()
	if err := c.within(ctx, func(ctx context.Context) error { return client.Ping(ctx).Err() }); err != nil {
		return n, err
	}
	n.Latency = time.Since(start)

	pipe := client.Pipeline()
	info, save, user := pipe.Info(ctx), pipe.ConfigGet(ctx, "save"), pipe.Do(ctx, "acl", "whoami")
	c.run(ctx, pipe)
	text, _ := info.Result()
	facts := parseInfo(text)
	n.Role, n.Version = facts["role"], facts["redis_version"]
	n.judgeServer(facts)
	n.judgePersistence(facts["aof_enabled"], save)
	if facts["cluster_enabled"] == "1" {
		n.judgeCluster(c.clusterState(ctx, client))
	}
	name, err := user.Text()
	if err != nil {
		n.warn(WarnUnknown, "acl")
		return n, nil
	}
	n.judgePermissions(c.denied(ctx, client, name))
	return n, nil
}

// within calls f with a context that ends with the budget.
func (c *Cache) within(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Budget)
	defer cancel()
	return f(ctx)
}

// run sends what is in pipe. Each command has its own error.
func (c *Cache) run(ctx context.Context, pipe redis.Pipeliner) {
	_ = c.within(ctx, func(ctx context.Context) error {
		_, err := pipe.Exec(ctx)
		return err
	})
}

func (c *Cache) clusterState(ctx context.Context, client *redis.Client) string {
	var text string
	_ = c.within(ctx, func(ctx context.Context) (err error) {
		text, err = client.ClusterInfo(ctx).Result()
		return err
	})
	return parseInfo(text)["cluster_state"]
}

// needed are the commands that larder sends and that its scripts call, with
// arguments that make each complete.
func (c *Cache) needed() [][]any {
	key := c.name(cache.ReservedPrefix + "ping")
	return [][]any{
		{"get", key}, {"set", key, "v"}, {"unlink", key}, {"del", key}, {"getrange", key, 0, 1},
		{"exists", key}, {"incrby", key, 1}, {"pexpire", key, 1}, {"pttl", key}, {"strlen", key},
		{"setrange", key, 0, "v"}, {"persist", key}, {"time"},
		{"eval", "return 1", 1, key}, {"evalsha", touchScript.Cmd(context.Background(), key).Args()[1], 1, key},
	}
}

// denied returns the needed commands that this user may not run, and whether
// the server would tell. It runs none of them.
func (c *Cache) denied(ctx context.Context, client *redis.Client, user string) (commands []string, told bool) {
	pipe := client.Pipeline()
	needed := c.needed()
	for _, args := range needed {
		pipe.Do(ctx, append([]any{"acl", "dryrun", user}, args...)...)
	}
	_ = c.within(ctx, func(ctx context.Context) error {
		cmds, err := pipe.Exec(ctx)
		told = true
		for i, cmd := range cmds {
			answer, err := cmd.(*redis.Cmd).Text()
			told = told && err == nil
			if err == nil && answer != "OK" {
				commands = append(commands, strings.ToUpper(needed[i][0].(string)))
			}
		}
		return err
	})
	return commands, told
}

func (n *Node) warn(kind WarningKind, detail string) {
	n.Warnings = append(n.Warnings, Warning{Kind: kind, Detail: detail})
}

// judgeServer looks at the lines of INFO.
func (n *Node) judgeServer(facts map[string]string) {
	switch policy, ok := facts["maxmemory_policy"]; {
	case !ok:
		n.warn(WarnUnknown, "maxmemory-policy")
	case policy != "noeviction" && facts["maxmemory"] != "0":
		n.warn(WarnMayEvict, policy)
	}
	major, err := strconv.Atoi(strings.SplitN(n.Version, ".", 2)[0])
	switch {
	case err != nil:
		n.warn(WarnUnknown, "version")
	case major < 7:
		n.warn(WarnOldServer, n.Version)
	}
	switch n.Role {
	case "":
		n.warn(WarnUnknown, "role")
	case "master":
	default:
		n.warn(WarnReplica, n.Role)
	}
}

func (n *Node) judgePersistence(aof string, save *redis.MapStringStringCmd) {
	if aof == "1" {
		return
	}
	switch snapshots, ok := save.Val()["save"]; {
	case aof == "" || !ok:
		n.warn(WarnUnknown, "persistence")
	case snapshots == "":
		n.warn(WarnNotPersistent, "appendonly no, no snapshots")
	}
}

func (n *Node) judgeCluster(state string) {
	switch state {
	case "ok":
	case "":
		n.warn(WarnUnknown, "cluster state")
	default:
		n.warn(WarnClusterState, state)
	}
}

func (n *Node) judgePermissions(denied []string, told bool) {
	for _, command := range denied {
		n.warn(WarnDenied, command)
	}
	if !told {
		n.warn(WarnUnknown, "acl")
	}
}

// parseInfo reads the "name:value" lines of INFO and CLUSTER INFO.
func parseInfo(text string) map[string]string {
	facts := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	return facts
}
