// Package demo is the demo node: an HTTP handler that speaks the wire formats of real model APIs and fails on request.
// `ferry demo` serves it on a loopback port, node URLs such as `demo:?status=429,200` use it in-process, and ferry's
// tests run against it.
//
// It owns the server side of three dialects (messages, complete, chat), their model lists, their errors and their
// streams, and the faults below. It refuses to import any ferry package: client and node are written separately from
// the same facts, so that a bug on one side is not hidden by the same bug on the other side. It stores no prompt and no
// key, opens no port itself, and calls no model: every answer is computed from the prompt, and the same prompt always
// gets the same answer.
//
// # Endpoints
//
// Any prefix may precede these paths:
//
//	POST /v1/messages       Claude messages, anthropic-version 2023-06-01 or 2026-10-21
//	POST /v1/complete       {"prompt","max_tokens"}, the answer text in "completion"
//	POST /chat/completions  OpenAI-style chat
//	GET  /v1/models         (or /models) a list, Anthropic-shaped when anthropic-version is present
//	GET  /healthz           {"status":"ok"}, without a key, never faulty and never counted
//
// A user's message may contain pictures and, in messages, PDFs, in base64. The content must match its media type. The
// answer names the files. Nothing is fetched.
//
// Any non-empty key is accepted, in x-api-key or as a Bearer token.
//
// Errors have the format of the requested API: Anthropic's for messages, OpenAI's for chat, and
// {"error":{"type","message"}} for complete, because its real gateways have nothing more in common. On an unknown path,
// a request with a Bearer token and without anthropic-version gets OpenAI's format, any other request Anthropic's.
//
// Token counts are estimates: four ASCII bytes are one token and any other character is one token, rounded up. An
// answer with more tokens than max_tokens is cut there (stop_reason max_tokens, finish_reason length).
//
// # Faults
//
// The query of the request's URL selects the faults, such as status=429,503,200. [Faults] lists all of them. More
// details:
//
//	success      the failures' error type is overloaded_error
//	latency      log-normal with sigma 0.25; failures are delayed too
//	stall        the request is read completely and never answered
//	truncate     a stream is cut inside an event; truncate=clean ends like nginx if its upstream is cut
//	error-event  a stream: the API's error event after half of the text; else: status 200 with an error as its body
//	drip         after half of the text, one ping a second
//	envelope     a stream that succeeds is not wrapped
//	gzip=bomb    decompresses to 68 MiB of JSON
//	big          max_tokens does not limit it
//
// A fault without a value that breaks an attempt (spend-cap, stall, reset, redirect, html, empty, error-event,
// stall-mid, drip) also accepts a count: reset=1 drops only the first request. If several are due, the first one in the
// order of [Faults] is used. If status or success has already failed the attempt, that failure is the answer, and none
// of these faults is used.
//
// Requests are counted from 0 for each distinct query string, whatever the path: status, success, counts and first=N
// all use that number. A request with an unknown path, a wrong method or an invalid query is not counted. With first=N,
// later requests keep only the settings that are not faults: latency, pace, chunk, envelope, echo-key and retry-after.
//
// The node checks a request in this order: path, method, query, body size, latency, faults, key, request body. So a
// fault is sent before the key is checked, as a broken proxy in front of an API does. An invalid value gets status 400
// and an error that names the parameter. Unknown parameters are ignored, because URLs of real gateways may contain such
// parameters, and are listed in the header X-Demo-Ignored, so that a typo is visible.
//
// A status of 2xx sends the normal answer with that status (204 and 205 without a body), 101 sends only headers and
// closes the connection, and any other 1xx is sent as an interim response before the normal answer.
package demo
