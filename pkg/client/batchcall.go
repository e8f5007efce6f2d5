package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ferry/pkg/wire"
)

// BatchRequest is what all items of a batch have in common.
type BatchRequest struct {
	wire.Request
	// Dir is the folder for the relative paths of items' files.
	Dir string
	// Endpoint is used first, then Others. Only the rule of Others and what they add to a request are used here.
	Endpoint *Endpoint
	Others   []*Endpoint
	Timeout  time.Duration
	Clock    Clock
}

// Call returns the call for an item.
func (b *BatchRequest) Call(item Item) *Call {
	r := b.Request
	r.Prompt, r.Model, r.MaxTokens = item.Prompt, item.Model, item.MaxTokens
	if item.System != nil {
		r.System = *item.System
	}
	return &Call{Request: r, NoSystem: item.System != nil && *item.System == "", Timeout: b.Timeout, Deadline: b.Clock.Now().Add(b.Timeout)}
}

// Price estimates the tokens of an item.
func (b *BatchRequest) Price(item Item) Price {
	var price Price
	files := int64(0)
	for _, name := range item.Files {
		tokens, isText := b.priceFile(name)
		if files += int64(tokens); !isText {
			price.Files++
		}
	}
	call := b.Call(item)
	count := func(e *Endpoint) (input, output int64) {
		r := call.To(e).Request
		input, output = EstimateInput(r)+files, int64(r.MaxAnswerTokens())
		price.MaxInput, price.MaxOutput = max(price.MaxInput, input), max(price.MaxOutput, output)
		price.All += (input + output) * int64(max(1, e.Rule.Attempts))
		return input, output
	}
	price.Input, price.Output = count(b.Endpoint)
	for _, e := range b.Others {
		count(e)
	}
	return price
}

// priceFile estimates the tokens of a file from its first bytes and its size. A file that cannot be read counts as text
// with 0 tokens.
func (b *BatchRequest) priceFile(name string) (tokens int, isText bool) {
	file, size, err := b.open(name)
	if err != nil {
		return 0, true
	}
	defer file.Close()
	head := make([]byte, 512) // as much as http.DetectContentType looks at
	n, _ := io.ReadFull(file, head)
	return wire.EstimateFile(head[:n], size)
}

// open opens a file of an item. It must be a regular file.
func (b *BatchRequest) open(name string) (file *os.File, size int64, err error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(b.Dir, name)
	}
	info, err := os.Stat(name) // before Open, which can block
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err == nil {
		file, err = os.Open(name)
	}
	if err != nil {
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// read reads a file of an item. It first waits until memory has space for it and for the total bytes of the item's
// other files.
func (b *BatchRequest) read(ctx context.Context, name string, memory *MemoryShare, total *int) ([]byte, error) {
	file, size, err := b.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	*total += int(min(size, wire.MaxRequest+1))
	if err := memory.acquire(ctx, *total); err != nil {
		return nil, err
	}
	var content bytes.Buffer
	content.Grow(int(min(size, wire.MaxRequest+1)) + bytes.MinRead) // avoids copies while reading
	_, err = content.ReadFrom(io.LimitReader(file, wire.MaxRequest+1))
	return content.Bytes(), err
}

// Attach reads the files of an item into its call, and then starts the call's time limit. memory accounts for the bytes
// until it is released.
func (b *BatchRequest) Attach(ctx context.Context, item Item, call *Call, memory *MemoryShare) error {
	var attached PromptFiles
	total := 0 // bytes
	for _, name := range item.Files {
		content, err := b.read(ctx, name, memory, &total)
		if err != nil {
			return cannotRead(name, err)
		}
		if err := attached.Add(name, content); err != nil {
			return err
		}
	}
	r := &call.Request
	r.Prompt = strings.Join(append([]string{r.Prompt}, attached.Texts()...), "\n\n")
	r.Files = attached.Files
	if len(r.Prompt) > wire.MaxRequest {
		return fmt.Errorf("the prompt is over %d MiB", wire.MaxRequest>>20)
	}
	call.Deadline = b.Clock.Now().Add(b.Timeout) // the wait for memory does not count
	return nil
}

// Settings returns the settings that all requests have in common and that the lines of OUT do not have, by flag name.
func (b *BatchRequest) Settings() map[string]string {
	number := func(n *float64) string {
		if n == nil {
			return ""
		}
		return fmt.Sprint(*n)
	}
	r := b.Call(Item{}).To(b.Endpoint).Request
	return map[string]string{
		"--model": b.Endpoint.Model, "--max-tokens": fmt.Sprint(b.Endpoint.MaxTokens), "--system": r.System,
		"--api": string(b.Endpoint.API), "--temperature": number(b.Temperature), "--top-p": number(b.TopP),
		"--stop": fmt.Sprintf("%q", b.Stop), "--schema": string(b.Schema), "--param": fmt.Sprintf("%q", r.Params),
	}
}
