package client

import (
	"context"
	"net/http"

	"ferry/pkg/wire"
)

// CheckSchema holds the text of a whole answer to the schema that was sent, at its top level.
func CheckSchema(call *Call, result *Result, text string) error {
	if call.Request.Schema == nil {
		return nil
	}
	if err := wire.CheckSchema(call.Request.Schema, text); err != nil {
		return &Error{Class: NotAnAnswer, Status: http.StatusOK, Node: result.Node, Attempts: len(result.Attempts), Err: err}
	}
	return nil
}

// schemaStage holds answers to the schema where nothing is shown before the answer is whole.
type schemaStage struct{ next Doer }

// HoldToSchema is the output stage of a batch.
func HoldToSchema(next Doer) Doer { return &schemaStage{next} }

func (s *schemaStage) Do(ctx context.Context, call *Call) (*Result, error) {
	result, err := s.next.Do(ctx, call)
	if err == nil {
		err = CheckSchema(call, result, result.Answer.Text)
	}
	return result, err
}
