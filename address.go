package larder

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/larder-go/larder/cache"
)

// kind is which sort of backend a URL names.
type kind uint8

const (
	kindMemory kind = iota
	kindServer
	kindSocket
	kindCluster
	kindSentinel
)

type scheme struct {
	kind kind
	tls  bool
}

func schemes() map[string]scheme {
	return map[string]scheme{
		"memory":          {kindMemory, false},
		"redis":           {kindServer, false},
		"rediss":          {kindServer, true},
		"unix":            {kindSocket, false},
		"redis+cluster":   {kindCluster, false},
		"rediss+cluster":  {kindCluster, true},
		"redis+sentinel":  {kindSentinel, false},
		"rediss+sentinel": {kindSentinel, true},
	}
}

// address is a URL taken apart.
type address struct {
	scheme
	user, password string
	hosts          []string // with ports; of a socket its path
	path           []string // decoded
	query          url.Values
	problems       error // with the parts, which are then not complete
}

// parseAddress takes rawURL apart. It does so itself because url.Parse knows no
// lists of hosts and puts the URL, with its password, into its errors.
func parseAddress(rawURL string) (*address, error) {
	name, rest, isURL := strings.Cut(rawURL, "://")
	s, known := schemes()[strings.ToLower(name)]
	if !isURL || !known {
		return nil, refuseURL("has an unknown scheme: want memory, redis, rediss, unix, redis+cluster, rediss+cluster, redis+sentinel or rediss+sentinel, and ://")
	}
	if strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, refuseURL("contains a space or control character")
	}
	authority, rest := cutAny(rest, "/?#")
	if strings.ContainsAny(rest, "@#") {
		// Else what follows / ? or # in a password would be taken for a path
		// or parameters, and errors would show it.
		return nil, refuseURL("has an @ or # after the host: in a password write / as %2F, ? as %3F, # as %23, and in a path or parameter @ as %40")
	}
	path, rawQuery, _ := strings.Cut(rest, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, refuseURL("has malformed parameters")
	}
	a := &address{scheme: s, query: query}
	a.problems = errors.Join(a.readAuthority(authority), a.readPath(path))
	return a, nil
}

// cutAny cuts s before the first of chars.
func cutAny(s, chars string) (before, after string) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

func (a *address) readAuthority(authority string) error {
	hosts := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, _ := strings.Cut(authority[:i], ":")
		var errUser, errPassword error
		a.user, errUser = url.PathUnescape(user)
		a.password, errPassword = url.PathUnescape(password)
		if errUser != nil || errPassword != nil {
			return refuseURL("has a user or password with a malformed % sequence")
		}
		hosts = authority[i+1:]
	}
	switch a.kind {
	case kindMemory:
		if authority != "" {
			return refuseURL("has a host or user, but memory:// takes none")
		}
		return nil
	case kindSocket:
		if hosts != "" {
			return refuseURL("has a host, but unix:// takes a path: unix:///path/to/socket")
		}
		return nil
	case kindServer:
		if hosts == "" || hosts[0] == ':' {
			hosts = "localhost" + hosts
		}
	}
	return a.readHosts(hosts)
}

func (a *address) readHosts(hosts string) error {
	defaultPort := "6379"
	if a.kind == kindSentinel {
		defaultPort = "26379"
	}
	list := strings.Split(hosts, ",")
	if len(list) > 1 && a.kind == kindServer {
		return refuseURL("has several hosts: use redis+cluster or redis+sentinel")
	}
	var errs []error
	for i, text := range list {
		host, ok := readHost(text, defaultPort)
		if !ok {
			errs = append(errs, refuseURL("has a host that is none, or a port that is not 1 to 65535: number "+strconv.Itoa(i+1)))
		}
		a.hosts = append(a.hosts, host)
	}
	return errors.Join(errs...)
}

// readHost returns text as host:port.
func readHost(text, defaultPort string) (string, bool) {
	host, port := text, defaultPort
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		host, port = text[:i], text[i+1:]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(strings.Replace(inner, "%25", "%", 1))
		if !ok || err != nil || !addr.Is6() {
			return "", false
		}
		host = addr.String()
	} else if host == "" || strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", false
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), true
}

func (a *address) readPath(path string) error {
	if a.kind == kindSocket {
		decoded, err := url.PathUnescape(path)
		if err != nil || strings.Trim(decoded, "/") == "" {
			return refuseURL("has no path of a socket: unix:///path/to/socket")
		}
		a.hosts = []string{decoded}
		return nil
	}
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	for segment := range strings.SplitSeq(path, "/") {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return refuseURL("has a path with a malformed % sequence")
		}
		a.path = append(a.path, decoded)
	}
	return nil
}

// refuseURL returns the error for a URL, of which it shows nothing.
func refuseURL(reason string) error {
	return refuse("URL", "(hidden)", reason)
}

func refuse(option string, value any, reason string) error {
	return &cache.OptionError{Option: option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig}
}
