package client

import (
	"net/http"

	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// CheckSchema checks the text of a complete answer against the top level of the schema in the request.
func CheckSchema(call *Call, result *Result, answer string) error {
	if call.Request.Schema == nil {
		return nil
	}
	if err := wire.CheckSchema(call.Request.Schema, answer); err != nil {
		if reason := result.Answer.StopReason; wire.EndingOf(reason) == wire.Limited {
			err = text.WithHint(err, "the answer ends at a limit ("+text.Shown(reason, text.MaxNamed)+"); --max-tokens allows more")
		}
		return &Error{Class: NotAnAnswer, Status: http.StatusOK, Node: result.Node, Attempts: len(result.Attempts), Err: err}
	}
	return nil
}

// CheckBatchSchema is Stages.Output of a batch. It shows nothing and checks a complete answer against the schema.
func CheckBatchSchema(call *Call, result *Result, failed error) error {
	if failed != nil {
		return failed
	}
	return CheckSchema(call, result, result.Answer.Text)
}
