package client

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"ferry/pkg/text"
)

// BatchFiles say what a batch is about and where its files are.
type BatchFiles struct {
	// In is the input, a regular file, and InName what it is called.
	In     *os.File
	InName string
	// Out is the path of the results; the batch's other files are beside it.
	Out string
	// Settings are what all requests have in common, by name: an OUT that was begun with others is refused.
	Settings map[string]string
	// Shard is the part of the input that is asked.
	Shard Shard
	// Again asks the items again that were in flight when an earlier run ended.
	Again bool
	// Price guesses what an item costs.
	Price func(Item) Price
	// Look opens the batch to look at it alone: nothing is written and no lock taken, and it cannot be run.
	Look bool
}

// Price is a guess of what an item is sent and may be answered, in tokens, with its files that are no texts.
type Price struct {
	Input, Output int64
	Files         int
}

// mostNamed bounds the items and lines that are named one by one.
const mostNamed = 1000

// Plan is what a batch has to do.
type Plan struct {
	// Items are all of the input, Done those that OUT has, ToSend those that this run would ask.
	Items, Done, ToSend int
	// Ambiguous were in flight when an earlier run ended; InFlight names the first of them.
	Ambiguous int
	InFlight  []string
	// Files go with those to send, beside texts.
	Files int
	// Malformed lines are no items; Faults are the first of them.
	Malformed int
	Faults    []*ItemError
	// Input and Output are guesses, in tokens, of what all requests are sent and may be answered, once each.
	Input, Output int64
}

// Batch asks many prompts and keeps each result in files, so that the same batch can be run again until all is
// done.
type Batch struct {
	files   BatchFiles
	plan    Plan
	input   *inputReader
	record  *record
	header  journalHeader
	journal *os.File // with the batch's lock
	// made says that there was no journal, and outMade that Run made OUT; sent that a request left.
	made, outMade, ran bool
	sent               atomic.Bool

	mu    sync.Mutex
	tally Tally
}

// OpenBatch reads the input and the files of earlier runs. Nothing is sent.
func OpenBatch(files BatchFiles) (*Batch, error) {
	b := &Batch{files: files}
	var err error
	if b.input, err = newInputReader(files.In, files.InName); err != nil {
		return nil, err
	}
	b.input.shard = files.Shard
	if err := b.open(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Batch) open() error {
	path := b.files.Out + ".journal"
	old, err := b.openJournal(path)
	if err != nil {
		return err
	}
	if b.record, err = readRecord(b.files.Out, old); err != nil {
		return err
	}
	b.header = journalHeader{Kind: journalKind, Schema: journalSchema, Settings: map[string]string{}, Shard: b.files.Shard.String()}
	for name, value := range b.files.Settings {
		sum := sha256.Sum256([]byte(value))
		b.header.Settings[name] = hex.EncodeToString(sum[:8])
	}
	if b.header.Input, err = b.input.scan(b.count); err != nil {
		return err
	}
	return b.same()
}

// openJournal opens the journal with the batch's lock, or only to look at it.
func (b *Batch) openJournal(path string) (io.Reader, error) {
	journal, err := openExisting(path)
	missing := journal == nil
	switch {
	case err != nil:
		return nil, err
	case b.files.Look && missing:
		return strings.NewReader(""), nil
	case b.files.Look:
		b.journal = journal
		return journal, nil
	case !missing:
		journal.Close()
	}
	if b.journal, err = openJournal(path); err != nil {
		return nil, err
	}
	b.made = missing
	return b.journal, nil
}

// count takes a line of the input into the plan.
func (b *Batch) count(item Item, fault *ItemError) error {
	p := &b.plan
	if fault != nil {
		if p.Malformed++; len(p.Faults) < mostNamed {
			p.Faults = append(p.Faults, fault)
		}
		return nil
	}
	p.Items++
	if b.record.done.has(item.Line) {
		p.Done++
		return nil
	}
	if b.record.sent.has(item.Line) {
		if p.Ambiguous++; len(p.InFlight) < mostNamed {
			p.InFlight = append(p.InFlight, item.ID)
		}
		if !b.files.Again {
			return nil
		}
	}
	p.ToSend++
	price := b.files.Price(item)
	p.Input, p.Output, p.Files = p.Input+price.Input, p.Output+price.Output, p.Files+price.Files
	return nil
}

// same refuses files that belong to another batch.
func (b *Batch) same() error {
	was := b.record.header
	if was == nil {
		return nil
	}
	switch what := b.header.differs(was); {
	case what == inputDiffers:
		return text.Errorf("take another --out for this one", "%s: belongs to another input than %s", b.files.Out, b.files.InName)
	case what != "":
		return text.Errorf("take another --out for these settings, or those of the first run",
			"%s: was begun with another %s", b.files.Out, what)
	case was.Shard != b.header.Shard:
		return text.Errorf("each shard needs an --out of its own", "%s: was begun with another --shard", b.files.Out)
	}
	return nil
}

// Plan is what there is to do.
func (b *Batch) Plan() Plan { return b.plan }

// Close gives the batch's lock back. A journal that says nothing is removed, and an OUT without an answer that a run made
// which sent nothing.
func (b *Batch) Close() {
	if b.journal == nil {
		return
	}
	begun := b.record != nil && b.record.header != nil
	switch nothing := !b.sent.Load() && b.plan.ToSend > 0; {
	case b.files.Look || begun:
	case b.ran && nothing && b.outMade:
		_ = os.Remove(b.files.Out)
		_ = os.Remove(b.journal.Name())
	case !b.ran && (b.made || b.record != nil):
		_ = os.Remove(b.journal.Name()) // best effort: an empty one is as good as none
	}
	b.journal.Close()
}
