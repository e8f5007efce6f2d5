package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	ferryTextName = "ferry stream -q"
	ferryRawName  = "ferry stream -q -o raw"
	curlNName     = "curl -sN"
	plainName     = "plain Go, line + JSON"
)

// streamed are the contestants of each script.
type streamed struct {
	paced, short, long []*contestant
	longBytes          int
}

func newStreamed(work, ferry, url string, env []string, scripts []*script) (*streamed, error) {
	plain := filepath.Join(work, "plain")
	if err := goBuild(plain, "./.ci/compare/plain"); err != nil {
		return nil, err
	}
	of := func(s *script) []*contestant { return streamContestants(s, ferry, plain, url+s.path(), env) }
	return &streamed{
		paced: of(scripts[0]), short: of(scripts[1]), long: of(scripts[2]), longBytes: len(scripts[2].all),
	}, nil
}

func streamContestants(s *script, ferry, plain, to string, env []string) []*contestant {
	shown, flush := string(s.all), "-flush="+strconv.FormatBool(s.gaps != nil)
	all := []*contestant{
		{name: ferryTextName, argv: []string{ferry, "stream", "-q", "-n", s.name, "hi"}, output: s.text + "\n"},
		{name: ferryRawName, argv: []string{ferry, "stream", "-q", "-o", "raw", "-n", s.name, "hi"}, output: shown},
		{name: curlNName, argv: []string{"curl", "-sN", "-X", "POST", "-H", "x-api-key: " + key,
			"-H", "content-type: application/json", "-d", streamBody, to}, output: shown},
		{name: plainName, argv: []string{plain, flush, to, streamBody}, output: s.text},
	}
	needs(all[2], "curl")
	for _, c := range all {
		c.path, c.env, c.every = s.path(), env, 1
		c.wall, c.cpu, c.middle = map[int]float64{}, map[int]float64{}, map[int]float64{}
	}
	return all
}

// drain runs argv for c into a pipe that is read to its end as fast as it comes.
func (r *runner) drain(c *contestant, argv []string) (wall, cpu float64, err error) {
	return r.piped(c, argv, func([]byte, time.Time) {})
}

// follow runs c once and, where the run counts, keeps what each event took from the server's write to our pipe.
func (r *runner) follow(c *contestant, round int) error {
	var arrived []time.Time
	var window []byte // the end of what came before, which may hold the start of a mark
	_, _, err := r.piped(c, c.argv, func(chunk []byte, at time.Time) {
		window = append(window, chunk...)
		for {
			start := bytes.IndexByte(window, mark(0)[0])
			if start < 0 {
				window = window[:0]
				return
			}
			if len(window) < start+markSize {
				window = append(window[:0], window[start:]...)
				return
			}
			// That the marks count up is known when the run has ended: all that was printed is as it must be.
			window, arrived = window[start+markSize:], append(arrived, at)
		}
	})
	if err != nil {
		return err
	}
	r.server.mu.Lock()
	written := r.server.written
	r.server.mu.Unlock()
	if len(arrived) != pacedEvents || len(written) != pacedEvents+2 {
		return fmt.Errorf("%d events arrived of %d, in %d writes", len(arrived), pacedEvents, len(written))
	}
	if round < 0 {
		return nil
	}
	delays := make([]float64, pacedEvents)
	for i, at := range arrived {
		delays[i] = float64(at.Sub(written[i+1])) / float64(time.Microsecond)
	}
	c.delay, c.middle[round] = append(c.delay, delays...), median(delays)
	return nil
}

// piped runs argv for c and calls see with every piece of its standard output as soon as it can be read. It fails
// unless the request crossed once and the output was c's, to the byte.
func (r *runner) piped(
	c *contestant, argv []string, see func(chunk []byte, at time.Time),
) (wall, cpu float64, err error) {
	out, in, err := os.Pipe()
	if err != nil {
		return 0, 0, err
	}
	defer out.Close()
	defer in.Close()
	ctx, cancel := context.WithTimeout(r.ctx, runLimit)
	defer cancel()
	var notes bytes.Buffer
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env, command.Stdout, command.Stderr = c.env, in, &notes
	command.WaitDelay = time.Second

	r.server.reset()
	start := time.Now()
	if err := command.Start(); err != nil {
		return 0, 0, err
	}
	in.Close() // the child has its own; ours would keep the pipe from ending
	differs := readAs(c.output, out, see)
	out.Close()
	err = command.Wait()
	wall = milliseconds(time.Since(start))
	if differs != nil {
		return 0, 0, fmt.Errorf("%w (%v): %s", differs, err, bytes.TrimSpace(notes.Bytes()))
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, bytes.TrimSpace(notes.Bytes()))
	}
	return wall, processorTime(command), r.server.verify(c.path)
}

// readAs reads out to its end and returns where it is not what is wanted.
func readAs(want string, out io.Reader, see func(chunk []byte, at time.Time)) error {
	buffer := make([]byte, 64<<10)
	read := 0
	for {
		n, err := out.Read(buffer)
		at := time.Now()
		if n > len(want)-read || string(buffer[:n]) != want[read:read+n] {
			return fmt.Errorf("the output differs within the %d bytes from byte %d on", n, read)
		}
		see(buffer[:n], at)
		read += n
		if err == io.EOF && read < len(want) {
			return fmt.Errorf("the output ends at byte %d of %d", read, len(want))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
