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

// maxShards bounds the number of shards of a batch.
const maxShards = 10_000

// Shard is a part of a batch: the items whose hashed IDs fall into it. The zero value is the complete batch.
type Shard struct{ Number, Of int } // Number is from 1 to Of

// ParseShard parses K/N with K from 1 to N and N at most 10000.
func ParseShard(s string) (Shard, bool) {
	first, second, _ := strings.Cut(s, "/")
	number, err1 := strconv.Atoi(first)
	of, err2 := strconv.Atoi(second)
	shard := Shard{number, of}
	ok := err1 == nil && err2 == nil && number >= 1 && number <= of && of <= maxShards && shard.String() == s
	return shard, ok
}

// String returns K/N, "" for the complete batch.
func (s Shard) String() string {
	if s == (Shard{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Number, s.Of)
}

// has reports whether an input line belongs to the shard, which depends only on the item's ID. For an invalid line or
// an item without an ID it depends on the line's text, because the line number changes when lines are inserted before
// it.
func (s Shard) has(item Item, line []byte) bool {
	if s == (Shard{}) {
		return true
	}
	key := []byte(item.ID)
	if item.numbered {
		key = bytes.TrimSpace(bytes.TrimPrefix(line, byteOrderMark))
	}
	sum := sha256.Sum256(key)
	return binary.BigEndian.Uint64(sum[:8])%uint64(s.Of) == uint64(s.Number-1)
}

// Merged is the combined state of the shards of one batch.
type Merged struct {
	// Items is the number of items in the input, Malformed of invalid lines.
	Items, Malformed int
	// Missing are the items that no OUT has. Duplicate are the items that more than one OUT has.
	Missing, Duplicate Names
	// MissingShards are the shards whose OUT was not given.
	MissingShards []string

	outs []*record
}

// ReadShards reads the OUTs of the shards of one batch, and the batch's input to find what is missing. It returns an
// error if the shards belong to different batches or to another input. It changes no file.
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
			m.MissingShards = append(m.MissingShards, Shard{number, first.shard.Of}.String())
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
		return nil, text.Errorf("the journal of a shard must be next to its OUT: copy both", "%s: has no journal", path)
	}
	defer journal.Close()
	out, err := readRecord(path, journal)
	switch {
	case err != nil:
		return nil, err
	case out.header == nil:
		return nil, text.Errorf("run this shard again", "%s: was never started", path)
	case out.shard == Shard{}:
		return nil, text.Errorf("--merge joins what --shard has split", "%s: belongs to a complete batch, not to a shard", path)
	}
	return out, nil
}

// sameRun returns an error if the shard belongs to another batch than first.
func (r *record) sameRun(first *record) error {
	what := r.header.firstDifference(first.header)
	if what == "" && r.shard.Of != first.shard.Of {
		what = "number of shards"
	}
	if what == "" {
		return nil
	}
	return text.Errorf("merge only shards of the same run", "%s and %s: belong to different runs, with another %s", first.out, r.out, what)
}

// count adds a line of the input to the counts.
func (m *Merged) count(item Item) error {
	if item.fault != "" {
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
		m.Duplicate.add(item.ID)
	}
	return nil
}

// Write calls put for every line of the shards, with its line end, once per item: of two answers, the first is used.
func (m *Merged) Write(put func(line []byte) error) error {
	var written lineSet
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
				return changed(out.out, number, "has changed while ferry was reading it")
			case written.has(item):
				return nil
			}
			written.set(item)
			return put(line)
		})
		file.Close()
		switch {
		case err != nil:
			return err
		case end != out.outEnd:
			return changed(out.out, lines+1, "no longer exists")
		}
	}
	return nil
}
