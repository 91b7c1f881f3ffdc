package transport

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script. Make it once.
type Script struct {
	text, digest string
}

// NewScript returns the script with this text.
func NewScript(text string) *Script {
	sum := sha1.Sum([]byte(text)) // what Redis names scripts by
	return &Script{text: text, digest: hex.EncodeToString(sum[:])}
}

// ScriptCmd is one call of a Script. It is a command for Do and DoMany, which
// run it by the script's text if the server has forgotten its digest, and its
// result is read as that of any *redis.Cmd.
type ScriptCmd struct {
	*redis.Cmd
	script *Script
}

// Cmd returns a call of the script on key.
func (s *Script) Cmd(ctx context.Context, key string, args ...any) *ScriptCmd {
	all := make([]any, 0, 4+len(args))
	all = append(all, "evalsha", s.digest, 1, key)
	all = append(all, args...)
	return &ScriptCmd{redis.NewCmd(ctx, all...), s}
}

// isForgotten reports whether cmd is a script that the server does not have,
// and if so makes it a command that brings the text along.
func isForgotten(cmd redis.Cmder) bool {
	c, ok := cmd.(*ScriptCmd)
	if !ok || !redis.HasErrorPrefix(c.Err(), "NOSCRIPT") {
		return false
	}
	args := append([]any(nil), c.Args()...)
	args[0], args[1] = "eval", c.script.text
	c.Cmd = redis.NewCmd(context.Background(), args...)
	return true
}

// CmdOf is Cmd for a script that touches several keys. They must be on one
// server: see Transport.Single.
func (s *Script) CmdOf(ctx context.Context, keys []string, args ...any) *ScriptCmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, "evalsha", s.digest, len(keys))
	for _, key := range keys {
		all = append(all, key)
	}
	all = append(all, args...)
	return &ScriptCmd{redis.NewCmd(ctx, all...), s}
}
