package ledger_test

import (
	"database/sql"
	"os"

	"github.com/redis/go-redis/v9"

	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/queue/outbox"
)

// openRedis is for the server that the environment names.
func openRedis(*sql.DB, outbox.Dialect) (full, error) {
	client := redis.NewClient(&redis.Options{Addr: os.Getenv(envRedis)}) // the queue dials with its own
	defer func() { _ = client.Close() }()
	return redisqueue.New(client, nil)
}
