package transport

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// server is a scripted Redis over in-memory pipes.
type server struct {
	// answer returns the reply to a command, or "" for none; hangUp ends the
	// connection instead.
	answer func(args []string) string

	mu   sync.Mutex
	seen []string // the commands that came, without the handshake
}

const hangUp = "hang up"

func (s *server) client() *redis.Client { return s.clientThat(s.dial) }

func (s *server) clientThat(dials func(context.Context, string, string) (net.Conn, error)) *redis.Client {
	return redis.NewClient(&redis.Options{
		Dialer: dials, DisableIdentity: true, Protocol: 2,
		MaintNotificationsConfig: noMaintNotifications(), // or it looks up names
	})
}

func (s *server) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	go s.serve(there)
	return here, nil
}

func (s *server) serve(conn net.Conn) {
	replies := make(chan string, 10_000) // as a socket's buffer
	var writing sync.WaitGroup
	writing.Go(func() {
		for reply := range replies {
			if _, err := conn.Write([]byte(reply)); err != nil {
				_ = conn.Close()
			}
		}
	})
	defer func() {
		close(replies)
		writing.Wait()
		_ = conn.Close()
	}()
	r := bufio.NewReader(conn)
	for {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		var reply string
		switch args[0] {
		case "hello":
			reply = "-ERR unknown command\r\n"
		case "client":
			reply = "+OK\r\n"
		case "mget":
			reply = s.answerMany(args[1:])
		default:
			s.mu.Lock()
			s.seen = append(s.seen, strings.Join(args, " "))
			s.mu.Unlock()
			reply = s.answer(args)
		}
		switch reply {
		case "":
			continue
		case hangUp:
			return
		}
		replies <- reply
	}
}

// answerMany answers MGET with what the server says to each GET, as Redis does:
// an error there is a missing key here.
func (s *server) answerMany(keys []string) string {
	all := fmt.Sprintf("*%d\r\n", len(keys))
	for _, key := range keys {
		one := s.answer([]string{"get", key})
		switch {
		case one == "" || one == hangUp:
			return one
		case one[0] == '-':
			one = "$-1\r\n"
		}
		all += one
	}
	return all
}

func (s *server) count(command string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.seen {
		if strings.HasPrefix(c, command) {
			n++
		}
	}
	return n
}

func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readNumber(r, '*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := readNumber(r, '$')
		if err != nil {
			return nil, err
		}
		buf := make([]byte, size+2)
		for k := range buf {
			if buf[k], err = r.ReadByte(); err != nil {
				return nil, err
			}
		}
		args[i] = string(buf[:size])
	}
	return args, nil
}

func readNumber(r *bufio.Reader, mark byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != mark {
		return 0, fmt.Errorf("got %q", line)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}
