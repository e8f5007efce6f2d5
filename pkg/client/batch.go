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

// BatchFiles describe the contents and the files of a batch.
type BatchFiles struct {
	In *BatchInput
	// Out is the path of the results; the batch's other files are in the same folder.
	Out string
	// Request is what all items have in common. An OUT that was started with another one is refused.
	Request *BatchRequest
	// Shard is the part of the input to send.
	Shard Shard
	// Resend sends the items again that were in flight when an earlier run ended.
	Resend bool
	// ReadOnly opens the batch only for reading: nothing is written, no lock is taken, and it cannot be run.
	ReadOnly bool
}

// Price is the estimated number of tokens of an item, with its files.
type Price struct {
	// Input and Output are the tokens of one attempt at the first node. MaxInput and MaxOutput are the maximum of one
	// attempt at any node.
	Input, Output       int64
	MaxInput, MaxOutput int64
	// All is the maximum of all attempts at all nodes, input and output. Files counts the image and PDF files.
	All   int64
	Files int
}

// maxNamed is the maximum number of items or lines that are listed by name.
const maxNamed = 1000

// Names counts items and has the IDs of the first ones.
type Names struct {
	Count int
	First []string
}

func (n *Names) add(id string) {
	if n.Count++; len(n.First) < maxNamed {
		n.First = append(n.First, id)
	}
}

// String returns the IDs and the number of IDs not listed.
func (n Names) String() string {
	out := strings.Join(n.First, ", ")
	if more := n.Count - len(n.First); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

// Plan describes the work of a batch.
type Plan struct {
	// Items is the number of items of the shard in the input, Done of items that OUT already has, ToSend of items that
	// this run would send.
	Items, Done, ToSend int
	// Ambiguous are the items that were in flight when an earlier run ended.
	Ambiguous Names
	// Files counts the image and PDF files of the items to send.
	Files int
	// Malformed counts the shard's input lines that are not valid items. Faults are the first of them.
	Malformed int
	Faults    []error
	// Input and Output are the estimated tokens of all requests if each is sent once. All is the estimated maximum that
	// can be billed for all attempts at all nodes.
	Input, Output, All int64
}

// Batch sends many prompts and stores each result in files, so that the same batch can be run again until all items are
// done.
type Batch struct {
	Plan    Plan
	files   BatchFiles
	record  *record
	header  journalHeader
	journal *os.File // has the batch's lock
	// made: there was no journal; ran: Run was called; sent: a request was sent.
	made, ran bool
	sent      atomic.Bool

	mu    sync.Mutex
	tally Tally
}

// OpenBatch reads the input and the files of earlier runs. Unless ReadOnly is set, it opens the journal, creates it if
// it is missing, and takes its lock. It sends nothing.
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
	if !b.files.ReadOnly {
		journal.Close() // Close on nil does nothing
		if journal, err = state.OpenLocked(path); errors.As(err, new(*state.HeldError)) {
			err = fmt.Errorf("%s: another ferry process is working on this batch", path)
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
	return b.checkSameBatch()
}

// count adds a line of the input to the plan.
func (b *Batch) count(item Item) error {
	p := &b.Plan
	if item.fault != "" {
		if p.Malformed++; len(p.Faults) < maxNamed {
			p.Faults = append(p.Faults, fmt.Errorf("line %d: %s", item.Line, item.fault))
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
		if !b.files.Resend {
			return nil
		}
	}
	p.ToSend++
	price := b.files.Request.Price(item)
	p.Input, p.Output, p.All, p.Files = p.Input+price.Input, p.Output+price.Output, p.All+price.All, p.Files+price.Files
	return nil
}

// checkSameBatch returns an error if the files belong to another batch.
func (b *Batch) checkSameBatch() error {
	was := b.record.header
	if was == nil {
		return nil
	}
	switch what := b.header.firstDifference(was); {
	case what == inputDiffers:
		return text.Errorf("use another --out for this input", "%s: belongs to another input than %s", b.files.Out, b.files.In.Name)
	case what != "":
		return text.Errorf("use another --out for these settings, or the settings of the first run",
			"%s: was started with another %s", b.files.Out, what)
	case b.record.shard != b.files.Shard:
		return text.Errorf("each shard needs its own --out", "%s: was started with another --shard", b.files.Out)
	}
	return nil
}

// Close releases the batch's lock. It removes a journal without a header, and OUT and the journal of a first run that
// sent nothing.
func (b *Batch) Close() {
	if b.journal == nil {
		return
	}
	begun := b.record != nil && b.record.header != nil
	switch nothing := !b.sent.Load() && b.Plan.ToSend > 0; {
	case b.files.ReadOnly || begun:
	case b.ran && nothing && b.record.isNew:
		_ = os.Remove(b.files.Out)
		_ = os.Remove(b.journal.Name())
	case !b.ran && (b.made || b.record != nil):
		_ = os.Remove(b.journal.Name()) // best effort: an empty journal has no effect
	}
	b.journal.Close()
}
