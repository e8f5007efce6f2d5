package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// UnsupportedError is a request that the dialect, or its version, cannot carry. Nothing was sent.
type UnsupportedError struct {
	API API
	// What is the part that cannot be carried, such as "system prompt".
	What string
	// Reason says why, "" where the dialect simply has no such thing.
	Reason string
	hint   string
}

func (e *UnsupportedError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the %s api has no %s", e.API, e.What)
	}
	return fmt.Sprintf("the %s api takes no %s: %s", e.API, e.What, e.Reason)
}

// Hint tells what to do about it, "" where there is nothing to say.
func (e *UnsupportedError) Hint() string { return e.hint }

const otherAPI = "the messages and chat apis have it: choose a node of one of these"

// ErrNoSystem says that the complete dialect, whose request is a prompt and a number, has no system prompt.
var ErrNoSystem error = &UnsupportedError{API: Complete, What: "system prompt", hint: otherAPI}

// samplingRemoved is the first version of the messages dialect without temperature, top_p and top_k: its servers answer
// 400 "Extra inputs are not permitted". Versions are dates, so they compare as text.
const samplingRemoved = "2026-10-21"

// refuse names what the dialect cannot carry of r, nil where it can carry all of it.
func (a API) refuse(r Request) error {
	if a == Complete {
		switch {
		case r.System != "":
			return ErrNoSystem
		case len(r.Turns) > 0:
			return &UnsupportedError{API: a, What: "earlier turns", hint: otherAPI}
		case r.Schema != nil:
			return &UnsupportedError{API: a, What: "JSON schema", hint: otherAPI}
		}
	}
	for _, turn := range r.Turns {
		if turn.Role != "user" && turn.Role != "assistant" {
			return &UnsupportedError{
				API: a, What: fmt.Sprintf("turn of the role %q", turn.Role), Reason: "a turn is the user's or the assistant's",
			}
		}
	}
	if r.Schema != nil && (!json.Valid(r.Schema) || bytes.TrimLeft(r.Schema, " \t\r\n")[0] != '{') {
		return &UnsupportedError{API: a, What: "such schema", Reason: "it is not one JSON object"}
	}
	return a.refuseSampling(r)
}

func (a API) refuseSampling(r Request) error {
	version := r.Version
	if version == "" {
		version = DefaultVersion
	}
	if a != Messages || version < samplingRemoved {
		return nil
	}
	what := ""
	switch {
	case r.Temperature != nil:
		what = "temperature"
	case r.TopP != nil:
		what = "top_p"
	default:
		return nil
	}
	return &UnsupportedError{
		API: a, What: what, Reason: "version " + samplingRemoved + " removed it",
		hint: `a node with version: "2023-06-01" still takes it`,
	}
}
