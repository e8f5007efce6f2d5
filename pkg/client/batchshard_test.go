package client

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestParseShard(t *testing.T) {
	for s, want := range map[string]Shard{"1/1": {1, 1}, "3/20": {3, 20}, "20/20": {20, 20}, "10000/10000": {10_000, 10_000}} {
		if got, ok := ParseShard(s); !ok || got != want || got.String() != s {
			t.Errorf("%s: got %v, %t, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "3", "/", "3/", "/20", "0/20", "21/20", "3/0", "0/0", "-1/20", "03/20", "+3/20", "3/20/1", "3 /20", "1/10001",
		"1/99999999999999999999"} {
		if got, ok := ParseShard(s); ok {
			t.Errorf("%q: got %v, want it refused", s, got)
		}
	}
}

// inShards returns the shard of each prompt of an input.
func inShards(t *testing.T, input string, of int) map[string]int {
	t.Helper()
	found := map[string]int{}
	in := newBatchTrial(t, input).input()
	for number := 1; number <= of; number++ {
		in.shard = Shard{number, of}
		if _, err := in.scan(func(item Item) error {
			key := cmp.Or(item.fault, item.Prompt)
			if was := found[key]; was != 0 {
				t.Errorf("%q is in the shards %d and %d", key, was, number)
			}
			found[key] = number
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestShardsStay checks that an item stays in its shard when the rest of the input changes, and that the shards have
// about the same size.
func TestShardsStay(t *testing.T) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf(`{"id":"item %d","prompt":"with an id %d"}`, i, i), fmt.Sprintf("without one %d", i))
	}
	lines = append(lines, `{"id":7,"prompt":"with a number"}`, `{"prompt":""}`, "{")
	first := inShards(t, strings.Join(lines, "\n"), 20)
	if len(first) != len(lines) {
		t.Fatalf("%d of %d lines are in a shard", len(first), len(lines))
	}
	sizes := make([]int, 21)
	for _, shard := range first {
		sizes[shard]++
	}
	if least, most := slices.Min(sizes[1:]), slices.Max(sizes); least < 60 || most > 140 {
		t.Errorf("the shards have %d to %d of %d lines, want about 100 each", least, most, len(lines))
	}
	slices.Reverse(lines)
	lines = append([]string{"\ufeffone more", ""}, lines...)
	lines[5] = strings.ReplaceAll(lines[5], `"prompt":`, ` "model": "m", "prompt": `) // only the ID counts
	lines[6] += "\r"
	for prompt, shard := range inShards(t, strings.Join(lines, "\n"), 20) {
		if was, ok := first[prompt]; ok && was != shard {
			t.Errorf("%q was in shard %d and is in %d", prompt, was, shard)
		}
	}
}

// TestShardOfID checks the hash. It must not change: two versions of ferry may send parts of the same shard.
func TestShardOfID(t *testing.T) {
	for id, want := range map[string]int{"a": 11, "item-1": 13, "seven": 2, "p4": 19} {
		for number := 1; number <= 20; number++ {
			if got := (Shard{number, 20}).has(Item{ID: id}, nil); got != (number == want) {
				t.Errorf("%s is in shard %d: %t, want it in %d alone", id, number, got, want)
			}
		}
	}
}

// shardTrial returns a batch in two shards, both sent.
func shardTrial(t *testing.T) (b *batchTrial, outs []string) {
	b = newBatchTrial(t, "p1\np2\np3\np4\np5\n{\"bad\n")
	for number := 1; number <= 2; number++ {
		b.shard = Shard{number, 2}
		b.out = filepath.Join(filepath.Dir(b.in), fmt.Sprintf("out-%d", number))
		b.send()
		outs = append(outs, b.out)
	}
	return b, outs
}

func TestShardKeepsToItsOut(t *testing.T) {
	b, _ := shardTrial(t)
	for _, other := range []Shard{{}, {1, 2}, {2, 3}} {
		b.shard = other
		if _, err := b.open(); err == nil || !strings.Contains(err.Error(), "out-2: was started with another --shard") {
			t.Errorf("shard %v: got %v, want it refused", other, err)
		}
	}
}

// merge merges OUTs and returns the sorted line numbers of the written items.
func (b *batchTrial) merge(outs ...string) (*Merged, string, error) {
	b.t.Helper()
	m, err := ReadShards(b.input(), outs)
	if err != nil {
		return m, "", err
	}
	var items []string
	err = m.Write(func(line []byte) error {
		item, _ := itemOf(line)
		items = append(items, fmt.Sprint(item))
		return nil
	})
	slices.Sort(items)
	return m, strings.Join(items, " "), err
}

func TestMerge(t *testing.T) {
	b, outs := shardTrial(t)
	m, items, err := b.merge(outs...)
	if err != nil || items != "1 2 3 4 5" || m.Items != 5 || m.Malformed != 1 || m.Missing.Count+m.Duplicate.Count+len(m.MissingShards) != 0 {
		t.Fatalf("%+v, items %s, %v", m, items, err)
	}
	_, first, _ := b.merge(outs[0])
	if m, items, err = b.merge(outs[0], outs[0]); err != nil || items != first || m.Duplicate.Count != len(strings.Fields(first)) ||
		m.Missing.Count != 5-m.Duplicate.Count || strings.Join(m.MissingShards, " ") != "2/2" {
		t.Errorf("the first shard twice: %+v, items %s, want %s, %v", m, items, first, err)
	}
	// An incomplete line belongs to a shard that was killed or is still running.
	text := strings.TrimSuffix(b.read(outs[1]), "\n")
	b.write(outs[1], text)
	if m, items, err = b.merge(outs...); err != nil || m.Missing.Count != 1 || len(strings.Fields(items)) != 4 {
		t.Errorf("the last line cut: %+v, items %s, %v", m, items, err)
	}
}

// TestMergeOfLess removes the last line of an OUT between counting and writing.
func TestMergeOfLess(t *testing.T) {
	b, outs := shardTrial(t)
	m := must(ReadShards(b.input(), outs))(t)
	text := strings.TrimSuffix(b.read(outs[0]), "\n")
	b.write(outs[0], text[:strings.LastIndex(text, "\n")+1])
	want := fmt.Sprintf("line %d no longer exists", strings.Count(text, "\n")+1)
	if err := m.Write(func([]byte) error { return nil }); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMergeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *batchTrial, outs []string)
		want   string
	}{
		"another input":           {func(b *batchTrial, _ []string) { b.write(b.in, "one\n") }, "out-1: belongs to another input than IN"},
		"an OUT of another input": {func(b *batchTrial, _ []string) { b.renew("one\ntwo\n") }, "out-2: belong to different runs, with another input"},
		"another setting": {func(b *batchTrial, _ []string) {
			b.request.Endpoint.Model = "m"
			b.renew(b.read(b.in))
		}, "belong to different runs, with another --model"},
		"another number of shards": {func(b *batchTrial, _ []string) {
			b.shard = Shard{2, 3}
			b.renew(b.read(b.in))
		}, "belong to different runs, with another number of shards"},
		"a whole batch": {func(b *batchTrial, _ []string) {
			b.shard = Shard{}
			b.renew(b.read(b.in))
		}, "out-2: belongs to a complete batch, not to a shard"},
		"no journal":     {func(b *batchTrial, outs []string) { os.Remove(outs[0] + ".journal") }, "out-1: has no journal"},
		"no OUT":         {func(b *batchTrial, outs []string) { os.Remove(outs[0]) }, "but its results in"},
		"an empty one":   {func(b *batchTrial, outs []string) { os.Remove(outs[0]); b.write(outs[0]+".journal", "") }, "out-1: was never started"},
		"a changed OUT":  {func(b *batchTrial, outs []string) { b.write(outs[0], "{}\n") }, "line 1 is not a batch result"},
		"an open OUT":    {func(b *batchTrial, outs []string) { os.Chmod(outs[0], 0o644) }, "can be read or written by others"},
		"ids that clash": {func(b *batchTrial, _ []string) { b.write(b.in, strings.Repeat(`{"id":"a","prompt":"p"}`+"\n", 2)) }, "have the same id"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "an open OUT" && runtime.GOOS == "windows" {
				t.Skip("a mode opens no file there; TestAccessLists of pkg/state has its like")
			}
			b, outs := shardTrial(t)
			c.change(b, outs)
			if _, _, err := b.merge(outs...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// renew sends the last OUT again with another input.
func (b *batchTrial) renew(input string) {
	b.t.Helper()
	was := b.read(b.in)
	for _, path := range batchPaths(b.out) {
		os.Remove(path)
	}
	b.write(b.in, input)
	b.send()
	b.write(b.in, was)
}
