package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// vegetaTargets is what vegeta reads: the address goes in at %s.
const vegetaTargets = "POST %s\nx-api-key: " + key + "\ncontent-type: application/json\n"

// loaders are the load generators at one number of connections, in a closed loop for about length. One that goes by
// number is given as many requests as the delay allows in that time.
func (b *benched) loaders(url, prefix string, connections int, length time.Duration, csv bool) []*contestant {
	requests := connections * int(length/benchDelay)
	crowd, number, seconds := strconv.Itoa(connections), strconv.Itoa(requests), length.String()
	hey := []string{"-n", number, "-c", crowd}
	read := readHeySummary
	if csv {
		hey, read = append(hey, "-o", "csv"), readHeyCSV
	}
	all := []*contestant{
		b.ferryBench(benchName, url, prefix, "-c", crowd, "-r", number, "--warmup", crowd),
		b.loader(socketName, url, prefix, readNanoseconds, func(to string) []string {
			return []string{b.socket, "-c", crowd, "-n", number, to, benchBody}
		}),
		b.heyLoad(url, prefix, read, hey...),
		b.vegetaLoad(url, prefix, "-rate=0", "-max-workers="+crowd, "-workers="+crowd, "-connections="+crowd,
			"-duration="+seconds),
		b.loader(wrkName, url, prefix, readWrk, func(to string) []string {
			return []string{"wrk", "-t", "1", "-c", crowd, "-d", seconds, "--latency", "-s", filepath.Join(b.work, wrkFile), to}
		}),
	}
	for _, c := range all {
		c.load.connections = connections
		switch c.name {
		case benchName, socketName:
			c.load.requests, c.load.warmup = requests, connections
		case heyName:
			c.load.requests = requests
		}
	}
	return all
}

// stallers are the load generators at a fixed rate.
func (b *benched) stallers(url string) []*contestant {
	rate, length, total := strconv.Itoa(benchRate), benchLength.String(), benchRate*int(benchLength/time.Second)
	hey := b.heyLoad(url, "stall", readHeyCSV, "-n", strconv.Itoa(total), "-c", "1", "-q", rate, "-o", "csv")
	hey.load.requests, hey.load.connections = total, 1
	all := []*contestant{
		b.ferryBench(benchCrowdName, url, "stall", "-c", "200", "--rate", rate, "-d", length),
		b.ferryBench(benchOneName, url, "stall", "-c", "1", "--rate", rate, "-d", length),
		b.vegetaLoad(url, "stall", "-rate="+rate, "-duration="+length),
		hey,
	}
	// Of vegeta's each request that has to wait may open a connection. ferry warms up all of its own, asked or not.
	all[0].load.connections, all[1].load.connections, all[2].load.connections = 200, 1, total
	all[0].load.warmup, all[1].load.warmup = 200, 1
	return all
}

// loader is one load generator; its requests have a path of their own, by which the node tells it from the others.
func (b *benched) loader(
	name, url, prefix string, read func([]byte) (figures, error), argv func(to string) []string,
) *contestant {
	base := "/" + prefix + "/" + strings.NewReplacer(",", "", " ", "-").Replace(name)
	c := &contestant{name: name, env: b.env, every: 1, skipped: b.missing[name], cpu: map[int]float64{}}
	c.argv = argv(url + base + messagesPath)
	c.load = &load{to: base + messagesPath, pin: b.clients, read: read, got: map[int]figures{}}
	return c
}

func (b *benched) ferryBench(name, url, prefix string, flags ...string) *contestant {
	return b.loader(name, url, prefix, readFerry, func(to string) []string {
		node := strings.TrimSuffix(to, messagesPath)
		return append([]string{b.ferry, "bench", node, "--api", "messages", "--connections", "reused", "-o", "json"}, flags...)
	})
}

func (b *benched) heyLoad(url, prefix string, read func([]byte) (figures, error), flags ...string) *contestant {
	return b.loader(heyName, url, prefix, read, func(to string) []string {
		return slices.Concat([]string{b.hey}, flags, []string{"-m", "POST", "-T", "application/json",
			"-H", "x-api-key: " + key, "-d", benchBody, to})
	})
}

// vegetaLoad leaves what it measured in a file, which a second run of vegeta sums up.
func (b *benched) vegetaLoad(url, prefix string, flags ...string) *contestant {
	results := filepath.Join(b.work, prefix+".vegeta")
	attack := []string{b.vegeta, "attack", "-output=" + results, "-body=" + filepath.Join(b.work, bodyFile)}
	c := b.loader(vegetaName, url, prefix, readVegeta, func(string) []string { return append(attack, flags...) })
	c.load.input = fmt.Sprintf(vegetaTargets, url+c.load.to)
	c.load.after = []string{b.vegeta, "report", "-type=json", results}
	return c
}
