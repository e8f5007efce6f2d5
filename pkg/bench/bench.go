// Package bench measures nodes against each other. It owns the schedule of a run, its samples, the statistics, the
// comparison of nodes, the thresholds, and the format of a saved run. It calls a [Target], a function that makes one
// request and returns its outcome. It does not know HTTP, prompts, keys, terminals or report formats. It never includes
// failures in an average, and reports a difference only if the samples show one.
package bench

import (
	"context"
	"time"
)

// Schema is the version of saved runs and of the JSON report. Saved runs of version 1 have the same fields and can be
// read.
const Schema = 2

// Connection is the kind of connection that a request uses.
type Connection string

// The kinds of connection.
const (
	// Cold is a new connection for each request, like a separate run of curl.
	Cold Connection = "cold"
	// Reused is a connection that an earlier request left open.
	Reused Connection = "reused"
)

// Node is one series: a node over one kind of connection. A node measured over both kinds is two series.
type Node struct {
	Name       string     `json:"node"`
	Label      string     `json:"label,omitempty"`
	Host       string     `json:"url_host"`
	API        string     `json:"api"`
	Model      string     `json:"model"`
	Connection Connection `json:"connection"`
	// HTTP3 is "true" if the node is asked over HTTP/3 or TCP, whichever is ready first, and "only" for HTTP/3 only.
	HTTP3 string `json:"http3,omitempty"`
	// RequestSHA256 is the hexadecimal SHA-256 of the parts of the request that have no field here: the path, the
	// public header fields, the API version and the parameters.
	RequestSHA256 string `json:"request_sha256,omitempty"`
	// Proxy is the proxy's address without the user name, "" for none. Limit is ferry's own rate limit, such as 50/min.
	Proxy string `json:"proxy,omitempty"`
	Limit string `json:"limit,omitempty"`
}

// Request describes the request that a Target makes.
type Request struct {
	// Round counts from 0; requests of the same round are compared with each other. Warm-up rounds are negative.
	Round int
	// Nonce is different for every request and always has the same length.
	Nonce string
}

// Target makes one request, with all its attempts, and returns the outcome.
type Target func(ctx context.Context, r Request) Outcome

// Outcome is the outcome of one request, and its line in a saved run.
type Outcome struct {
	// Node is an index into Header.Nodes. Start is when the first attempt began, relative to the start of the run. Lag
	// is how late the first attempt began at a fixed rate. The run sets Node, Round, Start and Lag.
	Node  int           `json:"node"`
	Round int           `json:"round"`
	Start time.Duration `json:"start_ns"`
	// Latency runs from the start to the last byte of the complete answer, or to the failure. It includes the waits
	// between attempts, but not the waits for the client's own rate limit.
	Latency time.Duration `json:"latency_ns"`
	// TTFT (time to first token) runs from the start to the first text of a stream. It is 0 without a stream or text.
	TTFT time.Duration `json:"ttft_ns,omitempty"`
	Lag  time.Duration `json:"lag_ns,omitempty"`
	// OutputTokens counts the tokens of the answer, TextTokens the tokens of its text without reasoning. Each is 0 if
	// the node does not report it.
	OutputTokens int64 `json:"tokens,omitempty"`
	TextTokens   int64 `json:"text_tokens,omitempty"`
	// Chunks is the number of stream events with text.
	Chunks int64 `json:"chunks,omitempty"`
	// Class is the kind of failure, "" for a success. Detail describes the failure, without secrets.
	Class  string `json:"class,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Attempts is the number of attempts, at least 1. Earlier has the attempts before the last; each has its own line.
	Attempts int       `json:"attempts"`
	Earlier  []Attempt `json:"-"`
	// Fresh reports whether a request meant for a kept connection used a new one.
	Fresh bool `json:"fresh,omitempty"`
	// Phases are the phases of the last attempt.
	Phases Phases `json:"phases_ns,omitzero"`
	// Started is when the first attempt began, after any wait for the client's own rate limit.
	Started time.Time `json:"-"`
	// Billed is the number of tokens that count towards a cap.
	Billed int64 `json:"-"`
	// Final reports that the node will refuse every further request (401, 403), or that no more may be sent to it. Its
	// part of the run ends.
	Final bool `json:"-"`
	// Cancelled reports that the run itself ended the request or never sent it. The request is not counted.
	Cancelled bool `json:"-"`
}

// Attempt is a failed attempt that was followed by another.
type Attempt struct {
	Class   string
	Latency time.Duration
}

// Phases are the parts of an attempt. Phases that a kept connection skips are 0.
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

// Clock returns the time and sleeps. Its times have a monotonic reading.
type Clock interface {
	Now() time.Time
	// Sleep waits for d or until ctx ends, and then returns the error of ctx.
	Sleep(ctx context.Context, d time.Duration) error
}

// Header describes a run. It is the first line of a saved run and the top of the report.
type Header struct {
	Schema int `json:"schema"`
	// ID is the random name of the run. It keeps the rounds of merged runs apart.
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	// Vantage is the user's name for the place where the run was made.
	Vantage string `json:"vantage,omitempty"`
	// PromptSHA256 is the hexadecimal SHA-256 of the prompt without its nonce.
	PromptSHA256 string `json:"prompt_sha256"`
	MaxTokens    int    `json:"max_tokens"`
	// Requests is the number of planned rounds, 0 if Duration limits the run.
	Requests    int           `json:"requests"`
	Duration    time.Duration `json:"duration_ns,omitempty"`
	Concurrency int           `json:"concurrency"`
	// Rate is in requests per second per node; 0 means a closed loop.
	Rate     float64 `json:"rate,omitempty"`
	Warmup   int     `json:"warmup"`
	Attempts int     `json:"attempts"`
	// Policy decides when a request is retried. RetryDelay belongs to the script policy.
	Policy     string        `json:"retry_policy,omitempty"`
	RetryDelay time.Duration `json:"retry_delay_ns,omitempty"`
	// Timeout limits a request, ConnectTimeout a connection, IdleTimeout the time that a stream sends nothing. Files of
	// earlier versions have none of the three.
	Timeout        time.Duration `json:"timeout_ns,omitempty"`
	ConnectTimeout time.Duration `json:"connect_timeout_ns,omitempty"`
	IdleTimeout    time.Duration `json:"idle_timeout_ns,omitempty"`
	Stream         bool          `json:"stream"`
	// Connections is cold, reused or both.
	Connections string `json:"connections"`
	// Race reports whether a second handshake was started when the first one was late.
	Race bool   `json:"race,omitempty"`
	Seed uint64 `json:"seed"`
	// Precision ends the run when the half-width of every interval is at most this share (0.05 is ±5 %). 0 disables
	// this.
	Precision float64 `json:"precision,omitempty"`
	// Proxy lists the proxies of all nodes.
	Proxy string `json:"proxy,omitempty"`
	// Program is the version of ferry that made the run.
	Program string `json:"program"`
	// Reference is the name of the node that the others are compared with.
	Reference string `json:"reference"`
	Nodes     []Node `json:"nodes"`
}

// Run is a header and the measured series.
type Run struct {
	Header Header
	// Series has one entry for each of Header.Nodes, in the same order.
	Series []*Series
	Ending
	// Notes are remarks about the file for its reader, such as that the last line was cut.
	Notes []Message
}

// Ending has the facts that are known only at the end of a run.
type Ending struct {
	// Elapsed runs from the first counted request to the end of the last, at a fixed rate to an interruption.
	Elapsed time.Duration `json:"elapsed_ns"`
	// Stopped is why the run ended before its plan: "interrupted", "max tokens", "precision". It is "" if the plan was
	// completed.
	Stopped string `json:"stopped"`
	// SchedulingDelay is the 99th percentile of how late this process ran goroutines that were ready; 0 if not
	// measured.
	SchedulingDelay time.Duration `json:"scheduling_delay_ns"`
	// ClockJump is how far the wall clock moved relative to the monotonic clock during the run, negative if it went
	// back.
	ClockJump time.Duration `json:"clock_jump_ns"`
}
