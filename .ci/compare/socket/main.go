// Command socket is the truth that load generators are measured by: it writes the same bytes to each of its connections
// again and again and reads as many back, into memory that it has already. It knows no HTTP beyond the first answer's
// length, and prints each latency in nanoseconds, one a line.
//
//	socket [-c N] [-n N] URL BODY     the key comes from GATEWAY_KEY
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"
)

func main() {
	connections := flag.Int("c", 1, "connections, each with one request at a time")
	requests := flag.Int("n", 100, "requests, of which each connection makes an equal part")
	flag.Parse()
	if flag.NArg() != 2 || *connections < 1 || *requests < *connections {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), *connections, *requests / *connections); err != nil {
		fmt.Fprintln(os.Stderr, "socket:", err)
		os.Exit(1)
	}
}

func run(address, body string, connections, each int) error {
	to, err := url.Parse(address)
	if err != nil {
		return err
	}
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nx-api-key: %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n%s", to.Path, to.Host, os.Getenv("GATEWAY_KEY"), len(body), body)
	loops := make([]*loop, connections)
	for i := range loops {
		conn, err := net.Dial("tcp", to.Host)
		if err != nil {
			return err
		}
		defer conn.Close()
		loops[i] = &loop{conn: conn, request: request, taken: make([]time.Duration, 0, each)}
	}
	errs := make([]error, connections)
	var warm, done sync.WaitGroup
	warm.Add(connections)
	for i, l := range loops {
		done.Go(func() {
			first := l.warm()
			warm.Done()
			warm.Wait()
			errs[i] = errors.Join(first, l.measure(each))
		})
	}
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return show(loops)
}

// loop is one connection.
type loop struct {
	conn    net.Conn
	request []byte
	answer  []byte // as long as every answer
	taken   []time.Duration
}

// warm makes one request that is not counted, to learn how long an answer is.
func (l *loop) warm() error {
	if _, err := l.conn.Write(l.request); err != nil {
		return err
	}
	buffer := make([]byte, 16<<10)
	for read := 0; read < len(buffer); {
		n, err := l.conn.Read(buffer[read:])
		if err != nil {
			return err
		}
		read += n
		if size := answerSize(buffer[:read]); size > 0 && size <= read {
			l.answer = buffer[:size]
			return nil
		}
	}
	return errors.New("no answer with a length within 16 KiB")
}

// answerSize is the length of an answer with its head, 0 while that is not known.
func answerSize(start []byte) int {
	head, _, whole := bytes.Cut(start, []byte("\r\n\r\n"))
	_, after, found := bytes.Cut(head, []byte("Content-Length: "))
	if !whole || !found {
		return 0
	}
	digits, _, _ := bytes.Cut(after, []byte("\r\n"))
	body, err := strconv.Atoi(string(digits))
	if err != nil {
		return 0
	}
	return len(head) + len("\r\n\r\n") + body
}

func (l *loop) measure(requests int) error {
	if l.answer == nil {
		return nil // warm has failed
	}
	for range requests {
		start := time.Now()
		if _, err := l.conn.Write(l.request); err != nil {
			return err
		}
		if _, err := io.ReadFull(l.conn, l.answer); err != nil {
			return err
		}
		l.taken = append(l.taken, time.Since(start))
		if !bytes.HasPrefix(l.answer, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("answer %.40q", l.answer)
		}
	}
	return nil
}

func show(loops []*loop) error {
	out := bufio.NewWriter(os.Stdout)
	for _, l := range loops {
		for _, taken := range l.taken {
			out.WriteString(strconv.FormatInt(int64(taken), 10))
			out.WriteByte('\n')
		}
	}
	return out.Flush()
}
