// Package report owns how a bench summary is shown: on a terminal, and as Markdown, JSON, CSV, JUnit, Prometheus, HTML and
// the best node's name alone, each in a file of its own. It works nothing out: every number, interval and verdict is the
// summary's, and what the summary does not have is left out or shown as missing, never as 0. It refuses to know files,
// exit codes and the environment's language. Names and words of a summary may come from a saved run of another person:
// none of them reaches an output unescaped.
package report

import (
	"io"
	"path/filepath"
	"slices"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
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

// format is one form of a report on S.
type format[S any] struct {
	name string
	show func(S, Options) (string, error)
}

// formats are in the order in which help names them.
func formats() []format[*bench.Summary] {
	return []format[*bench.Summary]{
		{Text, asText}, {Markdown, asMarkdown}, {JSON, asJSON}, {CSV, asCSV}, {JUnit, asJUnit}, {Prometheus, asPrometheus},
		{HTML, asHTML}, {Best, asBest},
	}
}

// changeFormats are the forms of a comparison of two runs.
func changeFormats() []format[*bench.Changes] {
	return []format[*bench.Changes]{
		{Text, changesAsText}, {Markdown, changesAsMarkdown}, {JSON, changesAsJSON}, {JUnit, changesAsJUnit}, {HTML, changesAsHTML},
	}
}

// Formats lists the formats in the order in which help names them.
func Formats() []string { return formatNames(formats()) }

// ChangeFormats lists the formats of a comparison of two runs.
func ChangeFormats() []string { return formatNames(changeFormats()) }

func formatNames[S any](all []format[S]) []string {
	return each(all, func(f format[S]) string { return f.name })
}

// FormatOf is the format that the suffix of a file's name stands for, "" for none.
func FormatOf(path string) string {
	return map[string]string{
		".md": Markdown, ".json": JSON, ".csv": CSV, ".xml": JUnit, ".prom": Prometheus, ".html": HTML, ".htm": HTML,
	}[strings.ToLower(filepath.Ext(path))]
}

// Outcome is what a report in text ends with in a language: the best node of each vantage.
func Outcome(s *bench.Summary, lang string) []string { return textsOf(languageOf(lang).best(s)) }

// OutcomeOfChanges is what a comparison in text ends with in a language.
func OutcomeOfChanges(c *bench.Changes, lang string) []string {
	return textsOf(languageOf(lang).outcome(c))
}

func textsOf(lines []line) []string { return each(lines, func(l line) string { return l.text }) }

// The languages of text, Markdown and HTML.
const (
	English = "en"
	Chinese = "zh"
)

// Languages lists them.
func Languages() []string { return []string{English, Chinese} }

// Language is the one of a language tag or a locale, such as zh, zh-Hans or zh_CN.UTF-8, as far as there is one.
func Language(tag string) (string, bool) {
	name := strings.ToLower(tag)
	if end := strings.IndexAny(name, "_-.@"); end >= 0 {
		name = name[:end]
	}
	if name != English && name != Chinese {
		return "", false
	}
	return name, true
}

// Options are what a format needs to know beside the summary.
type Options struct {
	// Facts are the terminal's, for text alone.
	Facts term.Facts
	// Lang is English or Chinese, for text, Markdown and HTML; "" is English.
	Lang string
	// Explain adds the definitions of the words to text and Markdown. HTML has them always.
	Explain bool
	// Checks are shown in text, Markdown and HTML, and are test cases in JUnit.
	Checks []bench.Check
}

// Write shows a summary in a format. Nothing is written unless all of it can be. An unknown format or language, and a best
// node where there is none, are errors with a hint; errors of w come back as they are.
func Write(w io.Writer, name string, s *bench.Summary, o Options) error {
	return emit(w, formats(), name, s, o)
}

// WriteChanges shows a comparison of two runs in a format, as Write shows a summary.
func WriteChanges(w io.Writer, name string, c *bench.Changes, o Options) error {
	return emit(w, changeFormats(), name, c, o)
}

func emit[S any](w io.Writer, all []format[S], name string, s S, o Options) error {
	if o.Lang != "" && !slices.Contains(Languages(), o.Lang) {
		return text.Errorf("it is one of "+strings.Join(Languages(), ", "), "there is no report in the language %q", o.Lang)
	}
	i := slices.IndexFunc(all, func(f format[S]) bool { return f.name == name })
	if i < 0 {
		return text.Errorf("it is one of "+strings.Join(formatNames(all), ", "), "there is no report format %q", name)
	}
	out, err := all[i].show(s, o)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, out)
	return err
}

// reference reports whether a row is what others are compared with.
func reference(s *bench.Summary, r *bench.Row) bool {
	name := s.Header.Reference
	for _, other := range s.Rows {
		if v := other.VsReference; v != nil && other.Vantage == r.Vantage && other.Node.Connection == r.Node.Connection {
			name = v.Reference // not the header's where that one had no success
		}
	}
	return r.Node.Name == name && r.VsReference == nil
}

// compared reports whether any row was compared with another.
func compared(s *bench.Summary) bool {
	return anyRow(s, func(r *bench.Row) bool { return r.VsReference != nil })
}

// modelsDiffer reports whether the rows are of more than one model, and so of things that cannot be compared.
func modelsDiffer(s *bench.Summary) bool {
	return anyRow(s, func(r *bench.Row) bool { return r.Node.Model != s.Rows[0].Node.Model })
}

// nodeNames are the nodes, each once, whatever connections and vantages they were measured over.
func nodeNames(s *bench.Summary) []string {
	var names []string
	for _, r := range s.Rows {
		if !slices.Contains(names, r.Node.Name) {
			names = append(names, r.Node.Name)
		}
	}
	return names
}

// visible makes words from a file or a node fit for one line of a terminal.
func visible(s string) string { return text.Line(s) }
