// Package report shows a bench summary: on a terminal, and as Markdown, JSON, CSV, JUnit, Prometheus, HTML and the name
// of the best node, each in its own file. It computes no results: every number, interval and verdict comes from the
// summary. What the summary does not have is left out or shown as missing, never as 0. It does not access files, exit
// codes or the environment's language. Names and texts of a summary may come from another person's saved run, so none
// of them reaches an output unescaped.
package report

import (
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"ferry/pkg/bench"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// The report formats.
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

// format is one format of a report about S.
type format[S any] struct {
	name string
	show func(S, Options) (string, error)
}

// formats returns the formats in the order of the help.
func formats() []format[*bench.Summary] {
	return []format[*bench.Summary]{
		{Text, asText}, {Markdown, asMarkdown}, {JSON, asJSON}, {CSV, asCSV}, {JUnit, asJUnit}, {Prometheus, asPrometheus},
		{HTML, asHTML}, {Best, asBest},
	}
}

// changeFormats returns the formats of a comparison of two runs.
func changeFormats() []format[*bench.Changes] {
	return []format[*bench.Changes]{
		{Text, changesAsText}, {Markdown, changesAsMarkdown}, {JSON, changesAsJSON}, {JUnit, changesAsJUnit}, {HTML, changesAsHTML},
	}
}

// Formats returns the names of the formats in the order of the help.
func Formats() []string { return formatNames(formats()) }

// ChangeFormats returns the names of the formats of a comparison of two runs.
func ChangeFormats() []string { return formatNames(changeFormats()) }

func formatNames[S any](all []format[S]) []string {
	return each(all, func(f format[S]) string { return f.name })
}

var formatOf = map[string]string{
	".md": Markdown, ".json": JSON, ".csv": CSV, ".xml": JUnit, ".prom": Prometheus, ".html": HTML, ".htm": HTML,
	".txt": Text, ".log": Text,
}

// FormatOf returns the format for the suffix of a file name, "" if the suffix is unknown or there is none.
func FormatOf(path string) string { return formatOf[strings.ToLower(filepath.Ext(path))] }

// Suffixes returns the suffixes of file names that FormatOf knows.
func Suffixes() []string { return slices.Sorted(maps.Keys(formatOf)) }

// Outcome returns the last lines of a text report in a language: the best node of each vantage.
func Outcome(s *bench.Summary, lang string) []string { return textsOf(languageOf(lang).best(s)) }

// OutcomeOfChanges returns the last lines of a comparison as text in a language.
func OutcomeOfChanges(c *bench.Changes, lang string) []string {
	return textsOf(languageOf(lang).outcome(c))
}

// Warnings returns warnings about a summary as text in a language.
func Warnings(s *bench.Summary, warnings []bench.Warning, lang string) []string {
	l := languageOf(lang)
	return each(warnings, func(w bench.Warning) string { return l.warning(s, w) })
}

func textsOf(lines []line) []string { return each(lines, func(l line) string { return l.text }) }

// The languages of text, Markdown and HTML.
const (
	English = "en"
	Chinese = "zh"
)

// Languages are the names of the languages.
var Languages = []string{English, Chinese}

// Language returns the language of a language tag or a locale, such as zh, zh-Hans or zh_CN.UTF-8, and whether there is
// one.
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

// Options are what a format needs in addition to the summary.
type Options struct {
	// Facts describe the terminal, only for text.
	Facts term.Facts
	// Lang is English or Chinese, for text, Markdown and HTML; "" means English.
	Lang string
	// Explain adds the definitions of the terms to text and Markdown. HTML always has them.
	Explain bool
	// Checks are shown in text, Markdown and HTML, and are test cases in JUnit.
	Checks []bench.Check
}

// Write writes a summary in a format. It writes nothing unless the report is complete. An unknown format or language,
// or a missing best node for Best, is an error with a hint. Errors of w are returned unchanged.
func Write(w io.Writer, name string, s *bench.Summary, o Options) error {
	return emit(w, formats(), name, s, o)
}

// WriteChanges writes a comparison of two runs in a format, as Write writes a summary.
func WriteChanges(w io.Writer, name string, c *bench.Changes, o Options) error {
	return emit(w, changeFormats(), name, c, o)
}

func emit[S any](w io.Writer, all []format[S], name string, s S, o Options) error {
	if o.Lang != "" && !slices.Contains(Languages, o.Lang) {
		return text.Errorf("use one of "+strings.Join(Languages, ", "), "unknown report language %q", o.Lang)
	}
	i := slices.IndexFunc(all, func(f format[S]) bool { return f.name == name })
	if i < 0 {
		return text.Errorf("use one of "+strings.Join(formatNames(all), ", "), "unknown report format %q", name)
	}
	out, err := all[i].show(s, o)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, out)
	return err
}

// isReference reports whether a row is the one that others are compared with.
func isReference(s *bench.Summary, r *bench.Row) bool {
	name := s.Header.Reference
	for _, other := range s.Rows {
		if v := other.VsReference; v != nil && other.Vantage == r.Vantage && other.Node.Connection == r.Node.Connection {
			name = v.Reference // not the header's reference if that node had no success
		}
	}
	return r.Node.Name == name && r.VsReference == nil
}

// compared reports whether any row was compared with another.
func compared(s *bench.Summary) bool {
	return anyRow(s, func(r *bench.Row) bool { return r.VsReference != nil })
}

// modelsDiffer reports whether the rows have more than one model, so that they cannot be compared.
func modelsDiffer(s *bench.Summary) bool {
	return anyRow(s, func(r *bench.Row) bool { return r.Node.Model != s.Rows[0].Node.Model })
}

// nodeNames returns the names of the nodes, each once, whatever the connections and vantages.
func nodeNames(s *bench.Summary) []string {
	return bench.Distinct(s.Rows, func(r *bench.Row) string { return r.Node.Name })
}

// visible makes text from a file or a node safe for one line of a terminal.
func visible(s string) string { return text.Line(s) }
