package wire

import (
	"fmt"
	"strings"
)

// Ending is what a stop reason says of an answer.
type Ending int

// The endings. An answer is whole with any of them but Failed.
const (
	// Ended is an answer that came to its own end, or whose server names no reason.
	Ended Ending = iota
	// Limited is an answer that ends at a limit on tokens.
	Limited
	// Refused is an answer that the model, or a filter of the server, declined to give.
	Refused
	// Paused is an answer after which the model wants to go on, such as with a tool.
	Paused
	// Unknown is a reason that ferry does not know.
	Unknown
	// Failed is a reason that reports a failure of the server.
	Failed
)

// endings are the stop reasons of the three dialects and of the servers that speak them, in lower case.
var endings = map[string]Ending{
	"": Ended, "end_turn": Ended, "stop": Ended, "stop_sequence": Ended, "eos": Ended, "normal": Ended, "complete": Ended, "completed": Ended,
	"max_tokens": Limited, "length": Limited, "model_length": Limited, "model_context_window_exceeded": Limited, "max_output_tokens": Limited,
	"refusal": Refused, "content_filter": Refused, "sensitive": Refused, "safety": Refused, "recitation": Refused,
	"prohibited_content": Refused, "blocklist": Refused, "spii": Refused, "guardrail_intervened": Refused,
	"tool_use": Paused, "tool_calls": Paused, "function_call": Paused, "pause_turn": Paused,
	"error": Failed, "network_error": Failed, "insufficient_system_resource": Failed, "aborted": Failed, "abort": Failed,
	"cancelled": Failed, "canceled": Failed, "failed": Failed, "timeout": Failed,
}

// ending reads a stop reason. An error's name is that error.
func ending(reason string) Ending {
	reason = strings.ToLower(reason)
	if known, ok := endings[reason]; ok {
		return known
	}
	_, isError := statusOfType(reason)
	switch {
	case isError || strings.HasSuffix(reason, "error"):
		return Failed
	case strings.HasPrefix(reason, "content_filter"): // some name the kind of content behind it
		return Refused
	}
	return Unknown
}

// Ending says how the answer ended.
func (a Answer) Ending() Ending { return ending(a.StopReason) }

// stopFailure is the error of an answer whose stop reason reports a failure.
func stopFailure(a API, reason string) *APIError {
	e := &APIError{HTTPStatus: 200, Status: 500, Code: reason}
	if status, ok := statusOfType(reason); ok {
		e.Status = status
	}
	name := "stop_reason"
	if a == Chat {
		name = "finish_reason"
	}
	e.Message = fmt.Sprintf("the answer ended with %s %s", name, reason)
	return e
}
