package larder

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/distributed/near"
	"github.com/larder-go/larder/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConfigureMemory(t *testing.T) {
	for _, tc := range []struct {
		url  string
		want memory.Options
	}{
		{"memory://", memory.Options{}},
		{"MEMORY:///", memory.Options{}},
		{"memory://?max_entries=1000", memory.Options{MaxEntries: 1000}},
		{"memory://?max_bytes=4096&max_value_bytes=1kB", memory.Options{MaxBytes: 4096, MaxValueBytes: 1000}},
		{"memory://?max_bytes=64MiB", memory.Options{MaxBytes: 64 << 20}},
		{"memory://?ttl=10m", memory.Options{Defaults: cache.EntryOptions{TTL: 10 * time.Minute}}},
		{"memory://?ttl=none&sliding=30s", memory.Options{Defaults: cache.EntryOptions{TTL: cache.NoExpiry, SlidingExpiration: 30 * time.Second}}},
	} {
		c, err := configure(tc.url, nil)
		if err != nil {
			t.Errorf("%s: %v", tc.url, err)
			continue
		}
		backend, err := c.open()
		if err != nil {
			t.Fatalf("%s: %v", tc.url, err)
		}
		if !reflect.DeepEqual(c.memory, tc.want) {
			t.Errorf("%s: got %+v, want %+v", tc.url, c.memory, tc.want)
		}
		closeBackend(t, backend)
	}
}

func closeBackend(t *testing.T, b cache.Backend) {
	t.Helper()
	if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestConfigureServer(t *testing.T) {
	type want struct {
		network, addr, user, password string
		db, protocol                  int
		tls                           bool
	}
	for _, tc := range []struct {
		url  string
		want want
	}{
		{"redis://", want{addr: "localhost:6379"}},
		{"redis://:7000", want{addr: "localhost:7000"}},
		{"redis://cache", want{addr: "cache:6379"}},
		{"REDIS://cache:7000/3", want{addr: "cache:7000", db: 3}},
		{"redis://cache/?db=3&protocol=2", want{addr: "cache:6379", db: 3, protocol: 2}},
		{"redis://user:secret@cache", want{addr: "cache:6379", user: "user", password: "secret"}},
		{"redis://:secret@cache", want{addr: "cache:6379", password: "secret"}},
		{"redis://user@cache", want{addr: "cache:6379", user: "user"}},
		{"redis://us%40er:p%3A%2F%3F%23%25@cache", want{addr: "cache:6379", user: "us@er", password: "p:/?#%"}},
		{"redis://:a@b:c@cache", want{addr: "cache:6379", password: "a@b:c"}},
		{"redis://[::1]", want{addr: "[::1]:6379"}},
		{"redis://[fe80::1%25eth0]:7000", want{addr: "[fe80::1%eth0]:7000"}},
		{"redis://10.0.0.1:6380", want{addr: "10.0.0.1:6380"}},
		{"rediss://my_cache.example.com", want{addr: "my_cache.example.com:6379", tls: true}},
		{"unix:///run/redis.sock?db=2", want{network: "unix", addr: "/run/redis.sock", db: 2}},
		{"unix://user:pa%20ss@/run/a%40b", want{network: "unix", addr: "/run/a@b", user: "user", password: "pa ss"}},
	} {
		c, err := configure(tc.url, nil)
		if err != nil {
			t.Errorf("%s: %v", tc.url, err)
			continue
		}
		client := c.newClient().(*redis.Client)
		o := client.Options()
		if tc.want.network == "" {
			tc.want.network = "tcp"
		}
		if tc.want.protocol == 0 {
			tc.want.protocol = 3
		}
		got := want{o.Network, o.Addr, o.Username, o.Password, o.DB, o.Protocol, o.TLSConfig != nil}
		if got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.url, got, tc.want)
		}
		if o.TLSConfig != nil && (o.TLSConfig.MinVersion != tls.VersionTLS12 || o.TLSConfig.InsecureSkipVerify) {
			t.Errorf("%s: got lax TLS", tc.url)
		}
		client.Close()
	}
}

func TestConfigureCluster(t *testing.T) {
	c, err := configure("rediss+cluster://user:secret@h1:7000,h2,[::1]:7002?client_name=shop&skip_verify=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := c.newClient().(*redis.ClusterClient)
	defer client.Close()
	o := client.Options()
	if want := []string{"h1:7000", "h2:6379", "[::1]:7002"}; !slices.Equal(o.Addrs, want) {
		t.Errorf("addresses: got %v, want %v", o.Addrs, want)
	}
	if o.Username != "user" || o.Password != "secret" || o.ClientName != "shop" || !o.TLSConfig.InsecureSkipVerify {
		t.Errorf("got %q, %q, %q, %+v", o.Username, o.Password, o.ClientName, o.TLSConfig)
	}
}

func TestConfigureSentinel(t *testing.T) {
	c, err := configure("redis+sentinel://user:secret@h1,h2:26380/my%20master/4?sentinel_username=su&sentinel_password=sp", nil)
	if err != nil {
		t.Fatal(err)
	}
	o := c.client.Failover()
	if want := []string{"h1:26379", "h2:26380"}; !slices.Equal(o.SentinelAddrs, want) {
		t.Errorf("Sentinels: got %v, want %v", o.SentinelAddrs, want)
	}
	if o.MasterName != "my master" || o.DB != 4 || o.Username != "user" || o.Password != "secret" || o.SentinelUsername != "su" || o.SentinelPassword != "sp" {
		t.Errorf("got %+v", o)
	}
	if _, ok := c.newClient().(*redis.Client); !ok {
		t.Error("got no failover client")
	}
	c, err = configure("rediss+sentinel://h1/master?db=2", nil)
	if err != nil || c.client.DB != 2 || c.client.TLSConfig == nil {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestTheURLWinsOverOptions(t *testing.T) {
	trust := &tls.Config{ServerName: "redis.internal"}
	opts := &Options{
		Prefix:   "code:",
		Defaults: cache.EntryOptions{TTL: time.Minute, SlidingExpiration: time.Second, Priority: cache.PriorityPinned},
		TLS:      trust,
	}
	for _, tc := range []struct {
		url  string
		want distributed.Options
	}{
		{"rediss://cache", distributed.Options{Prefix: "code:", Defaults: opts.Defaults}},
		{"rediss://cache?prefix=url%3A&budget=50ms&max_value_bytes=2MiB&skip_verify=true", distributed.Options{
			Prefix: "url:", Defaults: opts.Defaults, Budget: 50 * time.Millisecond, MaxValueBytes: 2 << 20}},
		{"rediss://cache?prefix=", distributed.Options{Defaults: opts.Defaults}},
		{"rediss://cache?ttl=5m", distributed.Options{Prefix: "code:",
			Defaults: cache.EntryOptions{TTL: 5 * time.Minute, Priority: cache.PriorityPinned}}},
	} {
		c, err := configure(tc.url, opts)
		if err != nil {
			t.Fatalf("%s: %v", tc.url, err)
		}
		backend, err := c.open()
		if err != nil {
			t.Fatalf("%s: %v", tc.url, err)
		}
		closeBackend(t, backend)
		tc.want.CloseClient = true
		if !reflect.DeepEqual(c.redis, tc.want) {
			t.Errorf("%s: got %+v, want %+v", tc.url, c.redis, tc.want)
		}
		if c.client.TLSConfig.ServerName != "redis.internal" || trust.InsecureSkipVerify {
			t.Errorf("%s: got TLS for %q, the caller's changed: %v", tc.url, c.client.TLSConfig.ServerName, trust.InsecureSkipVerify)
		}
	}
}

// Each of these is refused, with an error for each thing that is wrong with it.
func TestOpenRefuses(t *testing.T) {
	for _, tc := range []struct {
		url  string
		want []string // the problems, sorted as they are reported
	}{
		{"", []string{"unknown scheme"}},
		{"memory", []string{"unknown scheme"}},
		{"memory:", []string{"unknown scheme"}},
		{"mem://", []string{"unknown scheme"}},
		{" redis://h", []string{"unknown scheme"}},
		{"redis:// h", []string{"a space or control character"}},
		{"redis://h\n", []string{"a space or control character"}},
		{"memory://host", []string{"memory:// takes none"}},
		{"memory://user@", []string{"memory:// takes none"}},
		{"memory:///path", []string{"has a path"}},
		{"redis://h1,h2", []string{"several hosts"}},
		{"redis://h:0", []string{"number 1"}},
		{"redis://h:65536", []string{"number 1"}},
		{"redis://h:port", []string{"number 1"}},
		{"redis://h:", []string{"number 1"}},
		{"redis://:secret", []string{"number 1"}},
		{"redis://::1", []string{"number 1"}},
		{"redis://[::1", []string{"number 1"}},
		{"redis://[10.0.0.1]", []string{"number 1"}},
		{"redis://h!", []string{"number 1"}},
		{"redis+cluster://", []string{"number 1"}},
		{"redis+cluster://h1,,h3,h4:x", []string{"number 2", "number 4"}},
		{"redis+cluster://h1/0", []string{"has a path"}},
		{"redis+cluster://h1?db=1", []string{"db does not apply"}},
		{"redis://h/one", []string{"number of a database"}},
		{"redis://h/-1", []string{"number of a database"}},
		{"redis://h/0/1", []string{"number of a database"}},
		{"redis://h/%zz", []string{"malformed % sequence"}},
		{"redis://h/1?db=1", []string{"db is given in the path too"}},
		{"redis+sentinel://h/m/1?db=1", []string{"db is given in the path too"}},
		{"redis+sentinel://h", []string{"name of the master"}},
		{"redis+sentinel://h/m/x", []string{"number of a database"}},
		{"redis://%zz@h", []string{"malformed % sequence"}},
		{"redis://u:%zz@h", []string{"malformed % sequence"}},
		{"redis://u:p/w@h", []string{"%2F"}},
		{"redis://u:p?w@h", []string{"%3F"}},
		{"redis://u:p#w@h", []string{"%23"}},
		{"redis://h#x", []string{"# after the host"}},
		{"unix://", []string{"no path of a socket"}},
		{"unix:///", []string{"no path of a socket"}},
		{"unix://run/redis.sock", []string{"has a host"}},
		{"redis://h?a=%zz", []string{"malformed parameters"}},
		{"redis://h?a;b", []string{"malformed parameters"}},
		{"redis://h?pool_sise=3", []string{"pool_sise is unknown"}},
		{"redis://h?pool_size=3", []string{"pool_size larder sets it itself"}},
		{"redis://h?" + strings.Repeat("x", 41) + "=1", []string{"(unprintable) is unknown"}},
		{"redis://h?%0A=1", []string{"(unprintable) is unknown"}},
		{"redis://h?TTL=1m", []string{"TTL is unknown"}},
		{"redis://h?max_entries=3", []string{"max_entries does not apply"}},
		{"memory://?prefix=x", []string{"prefix does not apply"}},
		{"redis://h?sentinel_password=x", []string{"sentinel_password does not apply"}},
		{"redis://h?ttl=1m&ttl=2m", []string{"ttl is given more than once"}},
		{"redis://h?ttl=60", []string{`ttl = "60" must be a positive duration`}},
		{"redis://h?ttl=0s", []string{"ttl"}},
		{"redis://h?ttl=-1s", []string{"ttl"}},
		{"redis://h?ttl=", []string{"ttl"}},
		{"redis://h?sliding=none", []string{"sliding"}},
		{"redis://h?budget=2h", []string{"Options.Budget"}},
		{"redis://h?protocol=1", []string{"must be 2 or 3"}},
		{"redis://h?skip_verify=true", []string{"in a rediss URL"}},
		{"rediss://h?skip_verify=yes", []string{"true or false"}},
		{"redis://h?client_name=a%20b", []string{"without spaces"}},
		{"redis://h?conn_max_lifetime=0&conn_max_idle_time=x", []string{"conn_max_idle_time", "conn_max_lifetime"}},
		{"redis://h?prefix=" + strings.Repeat("x", cache.MaxKeyLength+1), []string{"Prefix"}},
		{"memory://?max_bytes=64mib", []string{"must be a positive size"}},
		{"memory://?max_bytes=MiB", []string{"must be a positive size"}},
		{"memory://?max_bytes=9223372036854775807KiB", []string{"must be a positive size"}},
		{"memory://?max_bytes=1.5MiB", []string{"must be a positive size"}},
		{"memory://?max_entries=1e3", []string{"must be a positive number"}},
		{"memory://?max_bytes=10&max_value_bytes=20", []string{"MaxValueBytes"}},
		{"memory://host?max_bytes=x&ttl=y&foo=1", []string{"memory:// takes none", "max_bytes", "ttl", "foo is unknown"}},
		{"memory://?near=bounded", []string{"near does not apply"}},
		{"redis://h?near=strict", []string{"bounded, validate or ack"}},
		{"redis://h?near=", []string{"bounded, validate or ack"}},
		{"redis://h?near_bound=1s&near_entries=1", []string{"near_bound needs near", "near_entries needs near"}},
		{"redis://h?near=ack&near_bound=1ms&budget=2h", []string{"near.Options.Bound", "Options.Budget"}},
		{"redis://h?near=ack&near_bytes=0&near_entries=-1", []string{"near_bytes", "near_entries"}},
		{"redis://h:x/y?budget=2h&foo=1", []string{"number 1", "number of a database", "foo is unknown", "Options.Budget"}},
	} {
		backend, err := Open(tc.url, nil)
		if !errors.Is(err, cache.ErrInvalidConfig) || backend != nil {
			t.Errorf("%s: got %T, %v, want ErrInvalidConfig", tc.url, backend, err)
			continue
		}
		var option *cache.OptionError
		if !errors.As(err, &option) {
			t.Errorf("%s: got no OptionError: %v", tc.url, err)
		}
		if got := strings.Count(err.Error(), "\n") + 1; got != len(tc.want) {
			t.Errorf("%s: got %d problems, want %d: %v", tc.url, got, len(tc.want), err)
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", tc.url, err, want)
			}
		}
	}
}

func TestConfigureNear(t *testing.T) {
	for query, want := range map[string]near.Options{
		"near=bounded":                    {},
		"near=validate":                   {Mode: near.Validate},
		"near=ack&near_bound=500ms":       {Mode: near.Ack, Bound: 500 * time.Millisecond},
		"near_entries=9&near=bounded":     {Local: memory.Options{MaxEntries: 9}},
		"near=bounded&near_bytes=64MiB":   {Local: memory.Options{MaxBytes: 64 << 20}},
		"near=bounded&prefix=p&budget=1s": {},
	} {
		c, err := configure("redis://127.0.0.1:1?"+query, &Options{Prefix: "p"})
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		backend, err := c.open()
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		want.Remote = c.redis
		if !reflect.DeepEqual(*c.near, want) || c.redis.Prefix != "p" {
			t.Errorf("%s: got %+v, want %+v", query, *c.near, want)
		}
		if b, ok := backend.(*near.Cache); !ok || b.Mode() != want.Mode {
			t.Errorf("%s: got %T in another mode than %v", query, backend, want.Mode)
		}
		closeBackend(t, backend)
	}
}

func TestReadSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "10B": 10, "2kB": 2000, "2KB": 2000, "2KiB": 2048, "3MB": 3e6, "3MiB": 3 << 20,
		"4GB": 4e9, "4GiB": 4 << 30, "5TB": 5e12, "5TiB": 5 << 40, "9223372036854775807": math.MaxInt64,
		"": 0, "0": 0, "-1": 0, "1b": 0, "1K": 0, "1 MiB": 0, "8388608TiB": 0, "1MiBx": 0,
	} {
		var got int64
		if ok := readSize(&got, text); ok != (want != 0) || got != want {
			t.Errorf("readSize(%q): got %d, %v, want %d", text, got, ok, want)
		}
	}
}

func TestOpenAndUse(t *testing.T) {
	server := miniredis.RunT(t)
	server.RequireUserAuth("shop", "s/cr@t")
	server.RequireAuth("s/cr@t")
	for _, rawURL := range []string{
		"memory://?max_entries=10",
		"redis://shop:" + url.QueryEscape("s/cr@t") + "@" + server.Addr() + "/2?prefix=shop:&budget=5s",
		"redis://shop:" + url.QueryEscape("s/cr@t") + "@" + server.Addr() + "/2?prefix=near:&budget=5s&near=bounded",
	} {
		b, err := Open(rawURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if err := b.Set(ctx, "k", []byte("v"), cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		if v, found, err := b.Get(ctx, "k"); string(v) != "v" || !found || err != nil {
			t.Errorf("got %q, %v, %v", v, found, err)
		}
		closeBackend(t, b)
		closeBackend(t, b)
		if _, _, err := b.Get(ctx, "k"); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
	}
	if !server.DB(2).Exists("shop:k") || !server.DB(2).Exists("near:k") {
		t.Error("the entry is not in the database and under the prefix that the URL names")
	}
}

// None of these hosts can be dialled without asking for its address first.
func TestOpenAsksNoServer(t *testing.T) {
	resolver := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = resolver })
	var asked atomic.Int32
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Add(1)
		return nil, errors.New("no network")
	}}
	for _, rawURL := range []string{
		"redis://cache.invalid", "rediss://cache.invalid", "redis+cluster://a.invalid,b.invalid", "rediss+cluster://a.invalid",
		"redis+sentinel://a.invalid/m", "rediss+sentinel://a.invalid/m", "unix:///nowhere/redis.sock",
	} {
		b, err := Open(rawURL, nil)
		if err != nil {
			t.Fatalf("%s: %v", rawURL, err)
		}
		closeBackend(t, b)
		if n := asked.Swap(0); n != 0 {
			t.Errorf("%s: got %d look-ups of the host, want none", rawURL, n)
		}
	}
}

func TestOpenEnv(t *testing.T) {
	for value, want := range map[string]cache.Backend{
		"": (*memory.Cache)(nil), " \n": (*memory.Cache)(nil), "memory://?max_entries=3": (*memory.Cache)(nil),
		"redis://localhost\n": (*distributed.Cache)(nil), "redis://127.0.0.1:1?near=bounded": (*near.Cache)(nil),
	} {
		t.Setenv(EnvURL, value)
		b, err := OpenEnv(nil)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		if reflect.TypeOf(b) != reflect.TypeOf(want) {
			t.Errorf("%q: got %T, want %T", value, b, want)
		}
		closeBackend(t, b)
	}
	t.Setenv(EnvURL, "nonsense")
	if _, err := OpenEnv(nil); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("got %v, want ErrInvalidConfig", err)
	}
}

// FuzzOpen checks that no URL makes Open panic, that it refuses with the one
// documented error, and that no error shows a password.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{
		"redis://\x00", "redis://u:\x00@h", "redis://u:a/\x00@h", "redis://u:a?\x00&x@h", "redis://u:a?ttl=\x00@h", "redis://u:a#\x00@h",
		"redis+sentinel://u:\x00@h1,h2:x/m/z?sentinel_password=\x00", "unix://u:\x00@/s?db=z", "memory://u:\x00@?max_bytes=1MiB",
		"redis+cluster://u:\x00@[::1]:x,h?ttl=1", "rediss://u:%zz\x00@h", "redis://:\x00@h@h:y",
	} {
		f.Add(strings.ReplaceAll(seed, "\x00", "SECRET"))
	}
	const secret = "hunter2zq"
	f.Fuzz(func(t *testing.T, rawURL string) {
		// Where a user would write it: before the last @, or as a parameter that
		// holds a password.
		if i := strings.LastIndexByte(rawURL, '@'); i >= 0 && strings.Contains(rawURL[:i], "://") {
			rawURL = rawURL[:i] + secret + rawURL[i:]
		}
		rawURL = strings.ReplaceAll(rawURL, "sentinel_password=", "sentinel_password="+secret)
		b, err := Open(rawURL, nil)
		if err == nil {
			closeBackend(t, b)
			return
		}
		if b != nil || !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%q: got %T, %v", rawURL, b, err)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error shows the password: %v", rawURL, err)
		}
	})
}
