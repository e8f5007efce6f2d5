// Package demo is the demo node: an HTTP handler that speaks the wire formats of real model APIs and misbehaves on
// request. `ferry demo` serves it on a loopback port, node URLs such as `demo:?status=429,200` use it in-process, and
// ferry's own tests run against it.
//
// It owns the server's side of three dialects (messages, complete, chat), their model lists, their errors and their
// streams, and the faults below. It refuses to import any ferry package: client and node are written twice from the
// same facts, so that a bug cannot cancel itself out on both sides. It keeps no prompt and no key, opens no port by
// itself, and asks no model: every answer is made from the prompt by rule, and is the same every time.
//
// # Endpoints
//
// Any prefix may stand before them:
//
//	POST /v1/messages       Claude messages, anthropic-version 2023-06-01 or 2026-10-21
//	POST /v1/complete       {"prompt","max_tokens"}, the answer text in "completion"
//	POST /chat/completions  OpenAI-style chat
//	GET  /v1/models         (or /models) a list, Anthropic-shaped when anthropic-version is present
//	GET  /healthz           {"status":"ok"}, without a key, never faulty and never counted
//
// A user's message may have pictures and, in messages, PDFs, in base64 and of the type that they say. The answer names
// what came. Nothing is fetched.
//
// Any non-empty key passes, in x-api-key or as a Bearer token.
//
// Errors have the shape of the API that was asked: Anthropic's for messages, OpenAI's for chat, and
// {"error":{"type","message"}} for complete, whose real gateways agree on nothing more. On an unknown path a Bearer
// token without anthropic-version gets OpenAI's shape, anything else Anthropic's.
//
// Token counts are estimates: four ASCII bytes are one token and any other character is one token, rounded up. An
// answer with more tokens than max_tokens is cut there (stop_reason max_tokens, finish_reason length).
//
// # Faults
//
// Faults are chosen by the query of the request's URL, such as status=429,503,200. [Faults] lists them and what each does.
// Beyond that:
//
//	success      the failures' error type is overloaded_error
//	latency      log-normal with sigma 0.25; failures wait alike
//	stall        the request is read to its end and never answered
//	truncate     a stream is cut inside an event; truncate=clean is what nginx makes of a cut upstream
//	error-event  in a stream the API's own error event, after half of the text; else status 200 with an error as its body
//	drip         after half of the text, one ping a second
//	envelope     a stream that succeeds is not wrapped
//	gzip=bomb    decompresses to 68 MiB of JSON
//	big          max_tokens does not bound it
//
// A fault without a value that breaks an attempt (spend-cap, stall, reset, redirect, html, empty, error-event,
// stall-mid, drip) takes a count too: reset=1 drops only the first request. When several are due, the first one in
// the order of [Faults] is met. Where status or success has already failed the attempt, that failure is the answer,
// and none of these applies.
//
// Requests are counted per distinct query string, from 0, whatever the path: status, success, counts and first=N all
// go by that number. A request for an unknown path, with a wrong method or with a bad query, is not counted. Under
// first=N later requests keep the settings that describe a node's manner and not a mishap: latency, pace, chunk,
// envelope, echo-key and retry-after.
//
// The order inside one request is: path, method, query, body size, latency, faults, key, request body. A fault is
// thus met before the key is looked at, as it is with a broken machine in front of an API. A bad value is 400 and
// names the parameter. Parameters that are no faults pass, as a real gateway's own must, and are listed in the header
// X-Demo-Ignored, so that a typo can be seen.
//
// A status of 2xx sends the normal answer under that status (204 and 205 without a body), 101 sends bare headers and
// closes, and any other 1xx is sent as an interim response before the normal answer.
package demo
