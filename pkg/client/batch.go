package client

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

// BatchFiles say what a batch is about and where its files are.
type BatchFiles struct {
	In *BatchInput
	// Out is the path of the results; the batch's other files are beside it.
	Out string
	// Request is what all items have in common: an OUT that was begun with another is refused.
	Request *BatchRequest
	// Shard is the part of the input that is asked.
	Shard Shard
	// Again asks the items again that were in flight when an earlier run ended.
	Again bool
	// Look opens the batch to look at it alone: nothing is written and no lock taken, and it cannot be run.
	Look bool
}

// Price is a guess of what an item is sent and may be answered, in tokens, with its files that are no texts.
type Price struct {
	// Input and Output are the tokens of one attempt at the first node, MostInput and MostOutput the most of one at any node.
	Input, Output         int64
	MostInput, MostOutput int64
	// All is the most of all attempts at all nodes, in and out.
	All   int64
	Files int
}

// mostNamed bounds the items and lines that are named one by one.
const mostNamed = 1000

// Names counts items, and has the ids of the first of them.
type Names struct {
	Count int
	First []string
}

func (n *Names) add(id string) {
	if n.Count++; len(n.First) < mostNamed {
		n.First = append(n.First, id)
	}
}

// String lists the ids, and how many more there are.
func (n Names) String() string {
	out := strings.Join(n.First, ", ")
	if more := n.Count - len(n.First); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

// Plan is what a batch has to do.
type Plan struct {
	// Items are all of the input, Done those that OUT has, ToSend those that this run would ask.
	Items, Done, ToSend int
	// Ambiguous were in flight when an earlier run ended.
	Ambiguous Names
	// Files go with those to send, beside texts.
	Files int
	// Malformed lines are no items; Faults are the first of them.
	Malformed int
	Faults    []*ItemError
	// Input and Output are guesses, in tokens, of what all requests are sent and may be answered, once each, and All of the
	// most that they may be billed with all attempts at all nodes.
	Input, Output, All int64
}

// Batch asks many prompts and keeps each result in files, so that the same batch can be run again until all is
// done.
type Batch struct {
	Plan    Plan
	files   BatchFiles
	record  *record
	header  journalHeader
	journal *os.File // with the batch's lock
	// made says that there was no journal, ran that Run has begun, and sent that a request left.
	made, ran bool
	sent      atomic.Bool

	mu    sync.Mutex
	tally Tally
}

// OpenBatch reads the input and the files of earlier runs. Nothing is sent.
func OpenBatch(files BatchFiles) (*Batch, error) {
	b := &Batch{files: files}
	files.In.shard = files.Shard
	if err := b.open(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Batch) open() error {
	path := b.files.Out + ".journal"
	journal, err := openExisting(path)
	if err != nil {
		return err
	}
	b.made = journal == nil
	if !b.files.Look {
		journal.Close() // closing nil does nothing
		if journal, err = state.OpenLocked(path); errors.As(err, new(*state.HeldError)) {
			err = fmt.Errorf("%s: another ferry is working on this batch", path)
		}
		if err != nil {
			return err
		}
	}
	b.journal = journal
	if b.record, err = readRecord(b.files.Out, journal); err != nil {
		return err
	}
	b.header = journalHeader{Kind: journalKind, Schema: journalSchema, Settings: map[string]string{}, Shard: b.files.Shard.String()}
	for name, value := range b.files.Request.Settings() {
		sum := sha256.Sum256([]byte(value))
		b.header.Settings[name] = hex.EncodeToString(sum[:8])
	}
	if b.header.Input, err = b.files.In.scan(b.count); err != nil {
		return err
	}
	return b.same()
}

// count takes a line of the input into the plan.
func (b *Batch) count(item Item, fault *ItemError) error {
	p := &b.Plan
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
		p.Ambiguous.add(item.ID)
		if !b.files.Again {
			return nil
		}
	}
	p.ToSend++
	price := b.files.Request.Price(item)
	p.Input, p.Output, p.All, p.Files = p.Input+price.Input, p.Output+price.Output, p.All+price.All, p.Files+price.Files
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
		return text.Errorf("take another --out for this one", "%s: belongs to another input than %s", b.files.Out, b.files.In.Name)
	case what != "":
		return text.Errorf("take another --out for these settings, or those of the first run",
			"%s: was begun with another %s", b.files.Out, what)
	case b.record.shard != b.files.Shard:
		return text.Errorf("each shard needs an --out of its own", "%s: was begun with another --shard", b.files.Out)
	}
	return nil
}

// Close gives the batch's lock back. A journal that says nothing is removed, and an OUT without an answer that a run made
// which sent nothing.
func (b *Batch) Close() {
	if b.journal == nil {
		return
	}
	begun := b.record != nil && b.record.header != nil
	switch nothing := !b.sent.Load() && b.Plan.ToSend > 0; {
	case b.files.Look || begun:
	case b.ran && nothing && b.record.isNew:
		_ = os.Remove(b.files.Out)
		_ = os.Remove(b.journal.Name())
	case !b.ran && (b.made || b.record != nil):
		_ = os.Remove(b.journal.Name()) // best effort: an empty one is as good as none
	}
	b.journal.Close()
}
