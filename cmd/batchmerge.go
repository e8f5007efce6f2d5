package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/text"

	"github.com/spf13/pflag"
)

// mergeChunk is how many bytes are collected for one write.
const mergeChunk = 64 << 10

// runMerge prints the answers of all shards of a batch. It sends nothing.
func runMerge(f *pflag.FlagSet, a *app, o callOptions, b batchOptions, outs []string) error {
	var other string
	f.Visit(func(flag *pflag.Flag) {
		if !slices.Contains([]string{"batch", "merge", "quiet", "no-stdin", "lang"}, flag.Name) {
			other = flag.Name
		}
	})
	switch {
	case a.closed != nil:
		return a.closed
	case other != "":
		return usagef("it prints on standard output, and sends nothing", "--%s has no meaning with --merge", other)
	case len(outs) == 0:
		return usagef("ferry ask --batch IN --merge out-*.jsonl", "--merge needs the OUT of each shard")
	}
	in, err := a.openBatchInput(b.inFile, outs[0], o.prompt.noStdin)
	if err != nil {
		return err
	}
	defer in.Close()
	merged, err := client.ReadShards(in, outs)
	if err != nil {
		return err
	}
	var held []byte
	err = merged.Write(func(line []byte) error {
		if held = append(held, line...); len(held) < mergeChunk {
			return nil
		}
		err := a.write(held)
		held = held[:0]
		return err
	})
	if err := cmp.Or(err, a.write(held)); err != nil {
		return err
	}
	return a.reportMerged(merged, len(outs))
}

// reportMerged reports missing and duplicate answers. Both mean exit code 1.
func (a *app) reportMerged(m *client.Merged, outs int) error {
	answered, lines := m.Items-m.Missing.Count, m.Items+m.Malformed
	sum := joinParts("; ",
		part{true, fmt.Sprintf("%d of %d answered, in %s", answered, lines, text.Count(outs, "shard"))},
		part{len(m.MissingShards) > 0, "the OUT of shard " + strings.Join(m.MissingShards, ", ") + " is missing"},
		part{m.Missing.Count > 0, "without an answer: " + m.Missing.String()},
		part{m.Malformed > 0, text.Count(m.Malformed, "malformed line")},
		part{m.Duplicate.Count > 0, "answered twice, of which the first was printed: " + m.Duplicate.String()},
	)
	if answered == lines && m.Duplicate.Count == 0 {
		a.note("%s", sum)
		return nil
	}
	hint := "run the command of a shard again to send its items without an answer; its OUT.failed has the reasons"
	switch {
	case answered == lines:
		hint = "name one OUT of each shard"
	case len(m.MissingShards) > 0:
		hint = "name the OUT of every shard"
	case m.Missing.Count == 0:
		hint = "correct the malformed lines; the OUT.failed of their shards has the reasons"
	}
	return failedf(hint, "%s", sum)
}
