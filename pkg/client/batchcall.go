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
	// Dir is the folder that the paths of items' files are relative to.
	Dir string
	// Endpoint is asked first, and Others after it. Of the others only what they add to a request, and their rule, is needed.
	Endpoint *Endpoint
	Others   []*Endpoint
	Timeout  time.Duration
	Clock    Clock
}

// Call is the call of an item.
func (b *BatchRequest) Call(item Item) *Call {
	r := b.Request
	r.Prompt, r.Model, r.MaxTokens = item.Prompt, item.Model, item.MaxTokens
	if item.System != nil {
		r.System = *item.System
	}
	return &Call{Request: r, NoSystem: item.System != nil && *item.System == "", Timeout: b.Timeout, Deadline: b.Clock.Now().Add(b.Timeout)}
}

// Price guesses what an item costs.
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
		input, output = EstimateInput(r)+files, int64(r.MostTokens())
		price.MostInput, price.MostOutput = max(price.MostInput, input), max(price.MostOutput, output)
		price.All += (input + output) * int64(max(1, e.Rule.Attempts))
		return input, output
	}
	price.Input, price.Output = count(b.Endpoint)
	for _, e := range b.Others {
		count(e)
	}
	return price
}

// priceFile guesses how many tokens a file is, by its beginning and its size; one that cannot be read is a text of none.
func (b *BatchRequest) priceFile(name string) (tokens int, isText bool) {
	file, size, err := b.open(name)
	if err != nil {
		return 0, true
	}
	defer file.Close()
	head := make([]byte, 512) // as much as http.DetectContentType looks at
	n, _ := io.ReadFull(file, head)
	return wire.EstimateFile(head[:n], size), !wire.IsFile(head[:n])
}

// open opens the file of an item, which has to be a regular one.
func (b *BatchRequest) open(name string) (file *os.File, size int64, err error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(b.Dir, name)
	}
	info, err := os.Stat(name) // before it is opened, which can wait
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file")
	}
	if err == nil {
		file, err = os.Open(name)
	}
	if err != nil {
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// read reads a file of an item, once there is room for it beside so many bytes of the others.
func (b *BatchRequest) read(ctx context.Context, name string, memory *MemoryShare, total *int) ([]byte, error) {
	file, size, err := b.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	*total += int(min(size, wire.MaxRequest+1))
	if err := memory.take(ctx, *total); err != nil {
		return nil, err
	}
	var content bytes.Buffer
	content.Grow(int(min(size, wire.MaxRequest+1)) + bytes.MinRead) // it is not copied while it is read
	_, err = content.ReadFrom(io.LimitReader(file, wire.MaxRequest+1))
	return content.Bytes(), err
}

// Attach reads the files of an item into its call, whose time begins then. What is held for them is given back by the share.
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
	call.Deadline = b.Clock.Now().Add(b.Timeout) // the wait for room is no part of it
	return nil
}

// Settings are what all requests have in common and OUT's lines do not say, by the names of their flags.
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
