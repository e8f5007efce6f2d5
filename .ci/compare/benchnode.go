package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// delayed is the node of the load generators, a process of its own.
type delayed struct {
	url  string
	stop func()
}

// arrived is what the node says of a path, since it was started.
type arrived struct {
	Answered, Connections, Refused int
	Why                            string
}

// start runs the node until it is closed.
func (b *benched) start(ctx context.Context, flags ...string) (*delayed, error) {
	argv := append(append(b.server[:len(b.server):len(b.server)], b.node), append(flags, b.body)...)
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env, command.Stderr, command.WaitDelay = b.env, os.Stderr, time.Second
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	n := &delayed{stop: func() {
		in.Close()
		command.Wait()
	}}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		n.stop()
		return nil, fmt.Errorf("%s printed no address: %w", filepath.Base(b.node), err)
	}
	n.url = strings.TrimSpace(line)
	return n, nil
}

func (n *delayed) close() { n.stop() }

// seen asks the node what has arrived at a path.
func (n *delayed) seen(path string) (arrived, error) {
	client := http.Client{Timeout: runLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(n.url + "/seen")
	if err != nil {
		return arrived{}, err
	}
	defer answer.Body.Close()
	var all map[string]arrived
	err = json.NewDecoder(answer.Body).Decode(&all)
	return all[path], err
}

// verify says whether a report of so many requests can be true: those have arrived, some more at most, and connections
// were used again.
func (l *load) verify(reported int, before, after arrived) error {
	answered, connections := after.Answered-before.Answered, after.Connections-before.Connections
	more := l.warmup
	if l.requests == 0 {
		more += l.connections // whoever goes by time may leave the last request of each unfinished
	}
	switch {
	case after.Refused > before.Refused:
		return fmt.Errorf("the node refused %d of its requests, the first: %s", after.Refused-before.Refused, after.Why)
	case answered < reported || answered > reported+more:
		return fmt.Errorf("the node answered %d requests, and it reports %d", answered, reported)
	case connections > 2*l.connections+2:
		return fmt.Errorf("it opened %d connections to use %d again and again", connections, l.connections)
	}
	return nil
}
