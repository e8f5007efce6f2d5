//go:build linux

package cmd_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHoldCanary looks for what crosses a holder, a key, a proxy's password, a prompt and its answer, in all that a holder
// shows or leaves behind: files, arguments, environment, and its memory once the call is over.
func TestHoldCanary(t *testing.T) {
	long(t, "reads a process's memory")
	for name, secure := range map[string]bool{"TLS": true, "plain http": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newHoldServer(t, secure)
			settings := ""
			if secure {
				settings = "tls: {ca: '" + server.ca + "'}"
			}
			r := newHoldRig(t, server.URL, settings)
			var more []string
			key, password, prompt := canary("key"), canary("password"), canary("prompt")
			if secure {
				proxy, connects := connectProxy(t, nil)
				more = []string{"--proxy", strings.Replace(proxy, "http://", "http://user:"+password+"@", 1)}
				defer func() {
					if connects.Load() == 0 {
						t.Error("the proxy was not used")
					}
				}()
			}
			r.env = append(r.env, "NODE_KEY="+key)
			pid := r.holder(more...)
			for range 3 {
				r.must(prompt, more...)
			}
			r.must(strings.Repeat(prompt+" ", 3000), more...)
			call := r.call(r.ask("stream", prompt, more...))
			if call.code != 0 {
				t.Errorf("exit code %d: %s", call.code, call.stderr)
			}
			for _, at := range []string{"cmdline", "environ"} {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, at))
				check(t, err)
				lacks(t, at, text, key, password, prompt)
			}
			for _, dir := range []string{r.run, r.home} {
				check(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
					if err != nil || !entry.Type().IsRegular() {
						return err
					}
					text, err := os.ReadFile(path)
					lacks(t, path, text, key, password, prompt)
					return err
				}))
			}
			var found []string
			if !before(testTimeout/2, func() bool { found = r.remembers(pid, key, prompt); return len(found) == 0 }) {
				t.Errorf("its memory has %q", found)
			}
			if before(2*time.Second, func() bool { found = r.remembers(pid, key, prompt); return len(found) > 0 }) {
				t.Errorf("tidying up, it wrote down %q", found)
			}
		})
	}
}

// canary is a word that stands nowhere, this program included.
func canary(what string) string { return what + "-" + rand.Text() }

func lacks(t *testing.T, where string, text []byte, canaries ...string) {
	t.Helper()
	for _, word := range canaries {
		if at := bytes.Index(text, []byte(word)); at >= 0 {
			t.Errorf("%s has the %.8s: %q", where, word, text[max(0, at-150):min(len(text), at+100)])
		}
	}
}

// remembers gives what is left of some words in a process, with what stands around them.
func (r *holdRig) remembers(pid int, words ...string) (found []string) {
	known := 0
	memory(r.t, pid, func(text []byte) {
		known += bytes.Count(text, []byte(r.node))
		for _, word := range words {
			if at := bytes.Index(text, []byte(word)); at >= 0 {
				found = append(found, string(text[max(0, at-150):min(len(text), at+100)]))
			}
		}
	})
	if known == 0 {
		r.t.Error("its memory has not even the node's name: it was misread")
	}
	return found
}

// memory reads what a process can write to, area by area.
func memory(t *testing.T, pid int, read func(text []byte)) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	check(t, err)
	all, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		needed(t, "leave to read another process's memory: "+err.Error())
	}
	defer all.Close()
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		text := make([]byte, min(to-from, 64<<20))
		n, _ := all.ReadAt(text, from) // what was never touched cannot be read
		read(text[:n])
	}
}
