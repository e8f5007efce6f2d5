package client

import (
	"io"
	"os"
	"slices"

	"ferry/pkg/text"
)

// Merged is what the shards of one batch have answered.
type Merged struct {
	// Items are all of the input, and Answered those that a shard has.
	Items, Answered int
	// Malformed lines of the input are no items.
	Malformed int
	// Missing and Twice name the first of the items that no shard has, and of those that more than one OUT has.
	Missing, Twice []string
	// Doubled counts the items that are there twice.
	Doubled int
	// Absent are the shards of which no OUT was given.
	Absent []string

	outs  []shardOut
	twice marks
}

// shardOut is the OUT of a shard.
type shardOut struct {
	path   string
	shard  Shard
	record *record
}

// ReadShards reads the OUTs of the shards of one batch, and its input for what they lack. It refuses shards of different
// batches, and changes nothing.
func ReadShards(in *os.File, inName string, paths []string) (*Merged, error) {
	input, err := newInputReader(in, inName)
	if err != nil {
		return nil, err
	}
	m := &Merged{}
	var done marks
	for _, path := range paths {
		out, err := readShardOut(path)
		if err != nil {
			return nil, err
		}
		m.outs = append(m.outs, out)
		if err := out.sameRun(m.outs[0]); err != nil {
			return nil, err
		}
		done.join(out.record.done, &m.twice)
	}
	digest, err := input.scan(func(item Item, fault *ItemError) error {
		m.count(item, fault, done)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if digest != m.outs[0].record.header.Input {
		return nil, text.Errorf("name the input of these shards", "%s: belongs to another input than %s", paths[0], inName)
	}
	for number := 1; number <= m.outs[0].shard.Of; number++ {
		if !slices.ContainsFunc(m.outs, func(out shardOut) bool { return out.shard.Number == number }) {
			m.Absent = append(m.Absent, Shard{number, m.outs[0].shard.Of}.String())
		}
	}
	return m, nil
}

// readShardOut reads the OUT of a shard and its journal.
func readShardOut(path string) (out shardOut, err error) {
	journal, err := openExisting(path + ".journal")
	switch {
	case err != nil:
		return out, err
	case journal == nil:
		return out, text.Errorf("the journal of a shard belongs beside its OUT: bring both", "%s: has no journal", path)
	}
	defer journal.Close()
	out.path = path
	if out.record, err = readRecord(path, journal); err != nil {
		return out, err
	}
	header := out.record.header
	if header == nil {
		return out, text.Errorf("run this shard again", "%s: was never begun", path)
	}
	ok := false
	if out.shard, ok = ParseShard(header.Shard); !ok {
		return out, text.Errorf("--merge joins what --shard has split", "%s: is of a whole batch, not of a shard", path)
	}
	return out, nil
}

// sameRun refuses a shard of another batch.
func (o shardOut) sameRun(first shardOut) error {
	what := o.record.header.differs(first.record.header)
	if what == "" && o.shard.Of != first.shard.Of {
		what = "number of shards"
	}
	if what == "" {
		return nil
	}
	return text.Errorf("merge the shards of one run", "%s and %s: are of different runs, with another %s", first.path, o.path, what)
}

// count takes a line of the input into account.
func (m *Merged) count(item Item, fault *ItemError, done marks) {
	switch {
	case fault != nil:
		m.Malformed++
		return
	case !done.has(item.Line):
		if len(m.Missing) < mostNamed {
			m.Missing = append(m.Missing, item.ID)
		}
	case m.twice.has(item.Line):
		if m.Doubled++; len(m.Twice) < mostNamed {
			m.Twice = append(m.Twice, item.ID)
		}
		fallthrough
	default:
		m.Answered++
	}
	m.Items++
}

// Write calls put with every line of the shards, with its end, each item once: the first of two answers counts.
func (m *Merged) Write(put func(line []byte) error) error {
	var written marks
	for _, out := range m.outs {
		file, err := openExisting(out.path)
		if err != nil {
			return err
		}
		lines := 0
		end, _, err := readWhole(out.path, io.LimitReader(file, out.record.outEnd), func(number int, line []byte) error {
			lines = number
			item, ok := itemOf(line)
			switch {
			case !ok || !out.record.done.has(item):
				return changed(out.path, number, "is not what it was a moment ago")
			case m.twice.has(item) && written.has(item):
				return nil
			}
			written.set(item)
			return put(append(line, '\n'))
		})
		file.Close()
		switch {
		case err != nil:
			return err
		case end != out.record.outEnd:
			return changed(out.path, lines+1, "is not there any more")
		}
	}
	return nil
}
