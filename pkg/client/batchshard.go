package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"ferry/pkg/text"
)

// maxShards bounds the shards of a batch.
const maxShards = 10_000

// Shard is a part of a batch: the items whose ids hash to it. The zero value is all of the batch.
type Shard struct{ Number, Of int } // from 1

// ParseShard reads K/N with K from 1 to N.
func ParseShard(s string) (Shard, bool) {
	first, second, _ := strings.Cut(s, "/")
	number, err1 := strconv.Atoi(first)
	of, err2 := strconv.Atoi(second)
	shard := Shard{number, of}
	ok := err1 == nil && err2 == nil && number >= 1 && number <= of && of <= maxShards && shard.String() == s
	return shard, ok
}

// String is K/N, "" for all of the batch.
func (s Shard) String() string {
	if s == (Shard{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Number, s.Of)
}

// has reports whether a line of the input belongs to the shard, by nothing but its id. A line that is no item, or whose
// item has no id, goes by its text: its number changes when lines are added before it.
func (s Shard) has(item Item, line []byte) bool {
	if s == (Shard{}) {
		return true
	}
	key := []byte(item.ID)
	if len(key) == 0 || item.numbered {
		key = bytes.TrimSpace(bytes.TrimPrefix(line, byteOrderMark))
	}
	sum := sha256.Sum256(key)
	return binary.BigEndian.Uint64(sum[:8])%uint64(s.Of) == uint64(s.Number-1)
}

// Merged is what the shards of one batch have answered.
type Merged struct {
	// Items are all of the input; Malformed lines are none.
	Items, Malformed int
	// Missing are the items that no shard has, and Twice those that more than one OUT has.
	Missing, Twice Names
	// Absent are the shards of which no OUT was given.
	Absent []string

	outs []*record
}

// ReadShards reads the OUTs of the shards of one batch, and its input for what they lack. It refuses shards of different
// batches, and changes nothing.
func ReadShards(in *BatchInput, paths []string) (*Merged, error) {
	m := &Merged{}
	for _, path := range paths {
		out, err := readShardOut(path)
		if err != nil {
			return nil, err
		}
		m.outs = append(m.outs, out)
		if err := out.sameRun(m.outs[0]); err != nil {
			return nil, err
		}
	}
	digest, err := in.scan(m.count)
	if err != nil {
		return nil, err
	}
	first := m.outs[0]
	if digest != first.header.Input {
		return nil, text.Errorf("name the input of these shards", "%s: belongs to another input than %s", first.out, in.Name)
	}
	for number := 1; number <= first.shard.Of; number++ {
		if !slices.ContainsFunc(m.outs, func(out *record) bool { return out.shard.Number == number }) {
			m.Absent = append(m.Absent, Shard{number, first.shard.Of}.String())
		}
	}
	return m, nil
}

// readShardOut reads the OUT of a shard and its journal.
func readShardOut(path string) (*record, error) {
	journal, err := openExisting(path + ".journal")
	switch {
	case err != nil:
		return nil, err
	case journal == nil:
		return nil, text.Errorf("the journal of a shard belongs beside its OUT: bring both", "%s: has no journal", path)
	}
	defer journal.Close()
	out, err := readRecord(path, journal)
	switch {
	case err != nil:
		return nil, err
	case out.header == nil:
		return nil, text.Errorf("run this shard again", "%s: was never begun", path)
	case out.shard == Shard{}:
		return nil, text.Errorf("--merge joins what --shard has split", "%s: is of a whole batch, not of a shard", path)
	}
	return out, nil
}

// sameRun refuses a shard of another batch.
func (r *record) sameRun(first *record) error {
	what := r.header.differs(first.header)
	if what == "" && r.shard.Of != first.shard.Of {
		what = "number of shards"
	}
	if what == "" {
		return nil
	}
	return text.Errorf("merge the shards of one run", "%s and %s: are of different runs, with another %s", first.out, r.out, what)
}

// count takes a line of the input into account.
func (m *Merged) count(item Item, fault *ItemError) error {
	if fault != nil {
		m.Malformed++
		return nil
	}
	m.Items++
	answers := 0
	for _, out := range m.outs {
		if out.done.has(item.Line) {
			answers++
		}
	}
	switch {
	case answers == 0:
		m.Missing.add(item.ID)
	case answers > 1:
		m.Twice.add(item.ID)
	}
	return nil
}

// Write calls put with every line of the shards, with its end, each item once: the first of two answers counts.
func (m *Merged) Write(put func(line []byte) error) error {
	var written marks
	for _, out := range m.outs {
		file, err := openExisting(out.out)
		if err != nil {
			return err
		}
		lines := 0
		end, _, err := readWhole(out.out, io.LimitReader(file, out.outEnd), func(number int, line []byte) error {
			lines = number
			item, ok := itemOf(line)
			switch {
			case !ok || !out.done.has(item):
				return changed(out.out, number, "is not what it was a moment ago")
			case written.has(item):
				return nil
			}
			written.set(item)
			return put(append(line, '\n'))
		})
		file.Close()
		switch {
		case err != nil:
			return err
		case end != out.outEnd:
			return changed(out.out, lines+1, "is not there any more")
		}
	}
	return nil
}
