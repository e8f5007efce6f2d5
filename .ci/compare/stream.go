package main

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// streamers returns the programs that read one of the node's streams.
func streamers(name, plain string) []*side {
	const body = ` '{"model":"claude-haiku-5-5","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hi"}]}'`
	to := "$NODE/" + name + "/v1/messages"
	return []*side{
		{name: "ferry stream -q", line: "ferry stream -q -n " + name + " hi", runs: 1},
		{name: "ferry stream -q -o raw", line: "ferry stream -q -o raw -n " + name + " hi", runs: 1},
		{name: "curl -N", line: curl + "-N -d" + body + " " + to, runs: 1},
		{name: "plain Go, line + JSON", line: "plain " + plain + " " + to + body, runs: 1},
	}
}

// streamDelay measures the time of an event from the server's write to the reader of standard output.
func streamDelay(c *comparison, t *table) error {
	t.about = "From just before the server writes an event until its text can be read from the program's standard output, a pipe.\n" +
		"A round is 300 events, one every 2 to 4 ms; its figures are the median and the 99th percentile."
	sides := streamers("paced", "stream")
	err := c.interleave(6, sides, c.follow)
	goals := map[string]*goal{"curl -N": atMost(1.15)}
	t.compare("µs", []*side{sides[0], sides[2], sides[3]}, goals)
	t.compare("µs", []*side{sides[1], sides[2]}, goals)
	t.compare("99th percentile, µs", sides, nil)
	return err
}

// mark matches the beginning of an event's text: its number, and the time of its write in nanoseconds.
var mark = regexp.MustCompile(`#(\d{3})@(\d{19})`)

// follow runs a side once and stores the median and the 99th percentile of its events' delays.
func (c *comparison) follow(s *side) error {
	command := c.command("sh", "-c", "exec "+s.line)
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	var delays []float64
	rest, buffer := "", make([]byte, 64<<10)
	for err == nil {
		var n int
		n, err = out.Read(buffer)
		now := time.Now().UnixNano()
		rest += string(buffer[:n])
		for at := mark.FindStringSubmatchIndex(rest); at != nil; at = mark.FindStringSubmatchIndex(rest) {
			number, _ := strconv.Atoi(rest[at[2]:at[3]])
			written, _ := strconv.ParseInt(rest[at[4]:at[5]], 10, 64)
			if number != len(delays) {
				return fmt.Errorf("event %d came as number %d", number, len(delays))
			}
			delays, rest = append(delays, float64(now-written)/1e3), rest[at[1]:]
		}
	}
	if ended := command.Wait(); err != io.EOF || ended != nil || len(delays) != 300 {
		return fmt.Errorf("%d of 300 events came (%v, %v)", len(delays), err, ended)
	}
	s.keep("µs", quantile(delays, 0.5))
	s.keep("99th percentile, µs", quantile(delays, 0.99))
	return nil
}

// longStream measures a stream that is sent as fast as it is read.
func longStream(c *comparison, t *table) error {
	t.about = "200,000 events, 27 MB, sent as fast as the program reads them; its output is a pipe that is read at once. Whole process, by\n" +
		"hyperfine. curl does not decode the events."
	long, short := streamers("long", "burst"), streamers("short", "burst")
	printed := map[string]string{}
	once := func(s *side) error {
		out, _, err := c.execute(s)
		printed[s.line] = strings.TrimSuffix(out, "\n")
		return err
	}
	if err := c.interleave(3, append(long, short[0]), once); err != nil {
		return err
	}
	for i, other := range []int{3, 2} { // ferry must print what plain and curl print
		if got := printed[long[i].line]; got != printed[long[other].line] || len(got) < 1<<20 {
			return fmt.Errorf("%s prints %d bytes, and other bytes than %s", long[i].name, len(got), long[other].name)
		}
	}
	err := c.interleave(8, long, func(s *side) error { return c.hyperfine(s, "--output=pipe") })
	t.compare("ms", long, map[string]*goal{"plain Go, line + JSON": atMost(0.3)})
	t.compare("processor ms", long, map[string]*goal{"plain Go, line + JSON": atMost(0.5)})
	t.compare(peakMiB, long, nil)
	short[0].name += ", 20,000 events"
	t.compare(peakMiB, []*side{long[0], short[0]}, map[string]*goal{short[0].name: atMost(1.1)})
	return err
}
