package config

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The bounds of a log file's size. A file smaller than a few lines would be rotated by each of them.
const (
	leastLog = 256 << 10
	mostLog  = 1 << 30
)

// guardedSettings say what may leave and what is kept of it. No variable sets them: what stands in the file is not to be
// switched off by the surroundings of one call.
func guardedSettings() []setting {
	s := func(key, def, usage string, k kind, check func(string) *Error) setting {
		return setting{Setting{Key: key, Default: def, Usage: usage, InFile: true}, k, check}
	}
	return []setting{
		s("filter.file", "", "a list of blocked words, one a line, read at each use", kindText, checkPath),
		s("filter.words", "", "blocked words", kindList, checkWords),
		s("filter.on", `["prompt"]`, "what the filter looks at: prompt, answer", kindList, checkOn),
		s("redact", "", "patterns of what is not to be logged or shown in errors, in RE2's syntax", kindList, checkPatterns),
		s("audit.file", "", "the audit log", kindText, checkPath),
		s("audit.content", "none", "what the audit log has of prompts and answers: none or redacted", kindText, checkContent),
		s("audit.max_size", "10MiB", "the size at which the audit log is rotated", kindText, checkLogSize),
	}
}

func checkContent(s string) *Error {
	if names := []string{"none", "redacted"}; !slices.Contains(names, s) {
		return bad(meant("use none or redacted", s, names), "")
	}
	return nil
}

func checkLogSize(s string) *Error {
	if n := sizeOf(s); n < leastLog || n > mostLog {
		return bad("use a size from 256KiB to 1GiB, such as 10MiB", "")
	}
	return nil
}

// sizeOf reads a size such as 10MiB or 10MB, -1 where it is none.
func sizeOf(s string) int64 {
	for _, unit := range []struct {
		name string
		size int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}} {
		digits, ok := strings.CutSuffix(s, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 31)
		if err != nil {
			return -1
		}
		return int64(n) * unit.size
	}
	return -1
}

// complete refuses a filter without words and a log without a file, an empty one too: each would look switched on and do
// nothing.
func (d *decoder) complete(root *yaml.Node) *Error {
	for _, g := range []struct {
		group, needs string
		one          []string
	}{
		{"filter", "needs file or words", []string{"filter.file", "filter.words"}},
		{"audit", "needs file", []string{"audit.file"}},
	} {
		if slices.ContainsFunc(g.one, d.has) {
			continue
		}
		for i := 0; i+1 < len(root.Content); i += 2 {
			if k := root.Content[i]; k.Value == g.group {
				return at(k, g.group, bad(g.needs, "ferry config set "+g.one[0]+" PATH"))
			}
		}
	}
	return nil
}

func (d *decoder) has(key string) bool {
	_, ok := d.file.values[key]
	return ok
}
