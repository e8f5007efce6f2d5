// Package report owns how a bench summary is shown: on a terminal, and as Markdown, JSON, CSV, JUnit, Prometheus, HTML and
// the best node's name alone, each in a file of its own. It works nothing out: every number, interval and verdict is the
// summary's, and what the summary does not have is left out or shown as missing, never as 0. It refuses to know files,
// exit codes and the environment's language. Names and words of a summary may come from a saved run of another person:
// none of them reaches an output unescaped.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/term"
)

// The formats.
const (
	Text       = "text"
	Markdown   = "markdown"
	JSON       = "json"
	CSV        = "csv"
	JUnit      = "junit"
	Prometheus = "prometheus"
	HTML       = "html"
	Best       = "best"
)

// Formats lists the formats in the order in which help names them.
func Formats() []string {
	return []string{Text, Markdown, JSON, CSV, JUnit, Prometheus, HTML, Best}
}

// The languages of Markdown.
const (
	English = "en"
	Chinese = "zh"
)

// Options are what a format needs to know beside the summary.
type Options struct {
	// Facts are the terminal's, for text alone.
	Facts term.Facts
	// Lang is English or Chinese, for Markdown alone; "" is English. No locale changes it.
	Lang string
	// Checks become test cases in JUnit.
	Checks []bench.Check
}

// Error says why a summary cannot be shown as it was asked to be.
type Error struct {
	Text     string
	HintText string
}

func (e *Error) Error() string { return e.Text }

// Hint tells what to do about it; it may be empty.
func (e *Error) Hint() string { return e.HintText }

// Write shows a summary in a format. Nothing is written unless all of it can be, errors of w apart: those come back as
// they are. An unknown format or language, and a best node where there is none, are an *Error.
func Write(w io.Writer, format string, s *bench.Summary, o Options) error {
	if o.Lang == "" {
		o.Lang = English
	}
	if o.Lang != English && o.Lang != Chinese {
		return &Error{fmt.Sprintf("there is no report in the language %q", o.Lang), "it is en or zh"}
	}
	if format == HTML {
		return html(w, s)
	}
	out, err := render(format, s, o)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, out)
	return err
}

func render(format string, s *bench.Summary, o Options) (string, error) {
	switch format {
	case Text:
		return textReport(s, o.Facts), nil
	case Markdown:
		return markdown(s, o.Lang), nil
	case JSON:
		return jsonText(s)
	case CSV:
		return csvText(s), nil
	case JUnit:
		return junit(s, o.Checks)
	case Prometheus:
		return prometheus(s), nil
	case Best:
		return best(s)
	}
	return "", &Error{fmt.Sprintf("there is no report format %q", format), "it is one of " + strings.Join(Formats(), ", ")}
}

// reference reports whether a row is what others are compared with.
func reference(s *bench.Summary, r *bench.Row) bool {
	return r.Node.Name == s.Header.Reference && r.VsReference == nil
}

// compared reports whether any row was compared with another.
func compared(s *bench.Summary) bool {
	return slices.ContainsFunc(s.Rows, func(r *bench.Row) bool { return r.VsReference != nil })
}

// modelsDiffer reports whether the rows are of more than one model, and so of things that cannot be compared.
func modelsDiffer(s *bench.Summary) bool {
	return slices.ContainsFunc(s.Rows, func(r *bench.Row) bool { return r.Node.Model != s.Rows[0].Node.Model })
}
