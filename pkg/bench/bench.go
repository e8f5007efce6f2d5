// Package bench owns the measuring of nodes against each other: the schedule of a run, its samples, the statistics over
// them, the comparison of nodes and the thresholds, and the format of a saved run. It knows a [Target], a function that
// makes one request and returns its outcome, and refuses to know HTTP, prompts, keys, terminals and report formats. It
// never averages a failure in, and calls nothing different that the samples do not show to be.
package bench

import (
	"context"
	"time"
)

// Schema is the version of saved runs and of the JSON report. Saved runs of version 1 have the same fields and are read.
const Schema = 2

// Connection says on what kind of connection a request goes.
type Connection string

// The kinds of connection.
const (
	// Cold is a new connection for each request, as each run of curl pays for one.
	Cold Connection = "cold"
	// Reused is a connection that an earlier request left open.
	Reused Connection = "reused"
)

// Node is one series: a node over one kind of connection. Measured over both kinds, a node is two series.
type Node struct {
	Name       string     `json:"node"`
	Label      string     `json:"label,omitempty"`
	Host       string     `json:"url_host"`
	API        string     `json:"api"`
	Model      string     `json:"model"`
	Connection Connection `json:"connection"`
	// HTTP3 is "true" where the node is asked over HTTP/3 or TCP, whichever is ready first, and "only" for HTTP/3 alone.
	HTTP3 string `json:"http3,omitempty"`
	// RequestSHA256 is of what is asked beside all that stands here: the path, the public header fields, the API's version
	// and the parameters. It is in hexadecimal.
	RequestSHA256 string `json:"request_sha256,omitempty"`
	// Proxy is the proxy's address without its user, "" for none; Limit is the rate limit of ferry's own, such as 50/min.
	Proxy string `json:"proxy,omitempty"`
	Limit string `json:"limit,omitempty"`
}

// Request is what a Target is asked to do.
type Request struct {
	// Round counts from 0; requests of the same round are compared with each other. Warm-up rounds are below 0.
	Round int
	// Nonce differs in every request and always has the same length.
	Nonce string
}

// Target makes one request, with all its attempts, and returns the outcome.
type Target func(ctx context.Context, r Request) Outcome

// Outcome is the outcome of one request, and its line in a saved run.
type Outcome struct {
	// Node is an index into Header.Nodes. Start is when the first attempt began, counted from the start of the run. Lag is how
	// late that was at a fixed rate. The run sets Node, Round, Start and Lag.
	Node  int           `json:"node"`
	Round int           `json:"round"`
	Start time.Duration `json:"start_ns"`
	// Latency runs from the start to the last byte of the whole answer, or to the failure. Waits between attempts are part
	// of it; waits for a rate limit of the client's own are not.
	Latency time.Duration `json:"latency_ns"`
	// TTFT runs from the start to the first text of a stream; 0 without a stream or a text.
	TTFT time.Duration `json:"ttft_ns,omitempty"`
	Lag  time.Duration `json:"lag_ns,omitempty"`
	// OutputTokens counts the tokens of the answer, and TextTokens the tokens of its text without reasoning. Each is 0 where
	// the node does not say.
	OutputTokens int64 `json:"tokens,omitempty"`
	TextTokens   int64 `json:"text_tokens,omitempty"`
	// Chunks is how many events of a stream had text.
	Chunks int64 `json:"chunks,omitempty"`
	// Class is the kind of failure, "" after a success; Detail says it in words, without secrets.
	Class  string `json:"class,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Attempts is how many were made, at least 1; Earlier are those before the last, which have lines of their own.
	Attempts int       `json:"attempts"`
	Earlier  []Attempt `json:"-"`
	// Fresh says that a request that was to go over a kept connection went over a new one.
	Fresh bool `json:"fresh,omitempty"`
	// Phases belong to the last attempt.
	Phases Phases `json:"phases_ns,omitzero"`
	// Started is when the first attempt began; a wait for a rate limit of the client's own lies before it.
	Started time.Time `json:"-"`
	// Billed is the number of tokens that count against a cap.
	Billed int64 `json:"-"`
	// Final says that the node will refuse every further request (401, 403), or that no more may be sent to it: its part of
	// the run is over.
	Final bool `json:"-"`
	// Cancelled says that the run itself ended the request, or never sent it: it is not counted.
	Cancelled bool `json:"-"`
}

// Attempt is a failed attempt that was followed by another.
type Attempt struct {
	Class   string
	Latency time.Duration
}

// Phases are the parts of an attempt. What a kept connection saved is 0.
type Phases struct {
	DNS      time.Duration `json:"dns,omitempty"`
	Connect  time.Duration `json:"connect,omitempty"`
	TLS      time.Duration `json:"tls,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"`
	Transfer time.Duration `json:"transfer,omitempty"`
}

func (p *Phases) add(q Phases) {
	p.DNS += q.DNS
	p.Connect += q.Connect
	p.TLS += q.TLS
	p.Wait += q.Wait
	p.Transfer += q.Transfer
}

// Clock tells the time and waits. Its times carry a monotonic reading.
type Clock interface {
	Now() time.Time
	// Sleep waits d or until ctx ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error
}

// Header says what a run was: it heads the saved run and the report.
type Header struct {
	Schema int `json:"schema"`
	// ID is the run's own random name: it keeps the rounds of merged runs apart.
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	// Vantage is the place that the run was made from, as its user calls it.
	Vantage string `json:"vantage,omitempty"`
	// PromptSHA256 is of the prompt without its nonce, in hexadecimal.
	PromptSHA256 string `json:"prompt_sha256"`
	MaxTokens    int    `json:"max_tokens"`
	// Requests is the plan's rounds, 0 where Duration bounded the run.
	Requests    int           `json:"requests"`
	Duration    time.Duration `json:"duration_ns,omitempty"`
	Concurrency int           `json:"concurrency"`
	// Rate is in requests per second and node; 0 is a closed loop.
	Rate     float64 `json:"rate,omitempty"`
	Warmup   int     `json:"warmup"`
	Attempts int     `json:"attempts"`
	// Policy says when a request is tried again; RetryDelay is the script policy's.
	Policy     string        `json:"retry_policy,omitempty"`
	RetryDelay time.Duration `json:"retry_delay_ns,omitempty"`
	// Timeout bounds a request, ConnectTimeout a connection, IdleTimeout a stream without a byte. A file that an earlier
	// ferry wrote has none of them.
	Timeout        time.Duration `json:"timeout_ns,omitempty"`
	ConnectTimeout time.Duration `json:"connect_timeout_ns,omitempty"`
	IdleTimeout    time.Duration `json:"idle_timeout_ns,omitempty"`
	Stream         bool          `json:"stream"`
	// Connections is cold, reused or both.
	Connections string `json:"connections"`
	// Race says that a second handshake began beside one that was late.
	Race bool   `json:"race,omitempty"`
	Seed uint64 `json:"seed"`
	// Precision ends the run once every interval is that tight, as a share (0.05 is ±5 %); 0 never does.
	Precision float64 `json:"precision,omitempty"`
	// Proxy names the proxies of all nodes.
	Proxy string `json:"proxy,omitempty"`
	// Program is the version of ferry that ran it.
	Program string `json:"program"`
	// Reference is the name of the node that the others are compared with.
	Reference string `json:"reference"`
	Nodes     []Node `json:"nodes"`
}

// Run is what was measured.
type Run struct {
	Header Header
	// Series has one entry for each of Header.Nodes, in the same order.
	Series []*Series
	Ending
	// Notes say what a reader of the file should know, such as that its last line was cut.
	Notes []Message
}

// Ending is what is known at the end of a run.
type Ending struct {
	// Elapsed runs from the first counted request to the end of the last.
	Elapsed time.Duration `json:"elapsed_ns"`
	// Stopped says why the run ended before its plan did, "" where it did not: "interrupted", "max tokens", "precision".
	Stopped string `json:"stopped"`
	// SchedulingDelay is how late this process ran what was ready to run, at the 99th percentile; 0 where it was not measured.
	SchedulingDelay time.Duration `json:"scheduling_delay_ns"`
	// ClockJump is how far the wall clock moved against the monotonic one while the run went on, below 0 where it went back.
	ClockJump time.Duration `json:"clock_jump_ns"`
}
