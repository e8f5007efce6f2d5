package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// prepared is everything that is built and started before the first run, so that no figure holds a compiler's work.
type prepared struct {
	work    string
	server  *server
	one     []*contestant // of one request, those that borrow a connection last
	held    *held
	streams *streamed
	loads   *benched // nil where it is left out
	batch   *batched // likewise
}

func prepare(work string, s settings) (p *prepared, err error) {
	scripts := []*script{pacedScript(s.seed), burstScript("short", shortEvents), burstScript("long", longEvents)}
	p = &prepared{work: work}
	if p.server, err = startServer(scripts...); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	env, err := surroundings(work, p.server.url, scripts)
	if err != nil {
		return nil, err
	}
	if p.one, err = contestants(work, s.ferry, p.server.url, env); err != nil {
		return nil, err
	}
	if p.streams, err = newStreamed(work, s.ferry, p.server.url, env, scripts); err != nil {
		return nil, err
	}
	if s.bench+s.costs+s.stalls > 0 {
		if p.loads, err = newBenched(work, s.ferry, env); err != nil {
			return nil, err
		}
	}
	if s.batchItems > 0 {
		if p.batch, err = newBatched(work, s.ferry, env, s.batchItems); err != nil {
			return nil, err
		}
	}
	// The last: its holders end after some minutes without use.
	if s.rounds > 0 {
		if p.held, err = newHeld(work, s.ferry, p.server, env); err != nil {
			return nil, err
		}
		p.one = append(p.one, p.held.all...)
	}
	return p, nil
}

func (p *prepared) close() {
	if p.held != nil {
		p.held.stop()
	}
	p.server.close()
}

// contestants are all that may have failed.
func (p *prepared) contestants() []*contestant {
	all := slices.Concat(p.one, p.streams.paced, p.streams.short, p.streams.long)
	if p.loads != nil {
		all = slices.Concat(all, p.loads.one, p.loads.crowd, p.loads.cost, p.loads.stalled)
	}
	return all
}

// peer is a program that ferry is measured beside, and the command that it comes from.
type peer struct{ name, version, command string }

// peers are those that are there.
func (p *prepared) peers() []peer {
	var all []peer
	for _, program := range []string{"curl", "jq", "node"} {
		// jq says jq-1.6, node v20.1.0, curl its name and then its version.
		out, err := exec.Command(program, "--version").Output()
		words := strings.Fields(string(out))
		if err != nil || len(words) == 0 {
			continue
		}
		version := strings.TrimPrefix(words[0], "jq-")
		if version == program && len(words) > 1 {
			version = words[1]
		}
		from := "apt-get install " + program
		if program == "node" {
			from += "js npm"
		}
		all = append(all, peer{program, version, from})
	}
	if version := sdkVersion("testdata/sdk/node_modules/@anthropic-ai/sdk/package.json"); version != "" {
		all = append(all, peer{"@anthropic-ai/sdk", version, "cd testdata/sdk && npm ci"})
	}
	if p.loads != nil {
		all = append(all, p.loads.built...)
	}
	for _, ours := range []string{"bare", "plain", "socket", "loop"} {
		all = append(all, peer{ours, "of this checkout", "go build ./.ci/compare/" + ours})
	}
	return all
}

// files are what the commands read, by name: the typist takes out what is true of one run alone.
func (p *prepared) files() []string {
	names := []string{configFile}
	if p.loads != nil {
		names = append(names, bodyFile, targetsFile, wrkFile)
	}
	for i, name := range names {
		names[i] = filepath.Join(p.work, name)
	}
	return names
}

// configFile is ferry's configuration in the contestants' folder.
const configFile = "config.yaml"

// findFiles reads them for the page.
func (p *page) findFiles(t typist, paths []string) error {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("what the commands read: %w", err)
		}
		p.files = append(p.files, file{filepath.Base(path), t.text(string(text))})
	}
	return nil
}
