package term

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// goldmark judges the parser of this package. It is linked into the tests only: its tables and patterns would cost
// every run of the program half a millisecond.

func judge(source string) string {
	p := parser.NewParser(
		parser.WithBlockParsers(parser.DefaultBlockParsers()...),
		parser.WithInlineParsers(append(parser.DefaultInlineParsers(), gfmInlineParsers()...)...),
		parser.WithParagraphTransformers(append(parser.DefaultParagraphTransformers(), gfmTable())...),
	)
	d := &dumper{source: []byte(source)}
	d.judged(p.Parse(text.NewReader(d.source)))
	return d.String()
}

func ours(source string) string {
	d := &dumper{}
	d.own(parseMarkdown(source))
	return d.String()
}

func (d *dumper) judgedLines(n ast.Node) string {
	var b strings.Builder
	for i := range n.Lines().Len() {
		segment := n.Lines().At(i)
		b.Write(segment.Value(d.source))
	}
	if h, ok := n.(*ast.HTMLBlock); ok && h.HasClosure() {
		b.Write(h.ClosureLine.Value(d.source))
	}
	return b.String()
}

func (d *dumper) judged(n ast.Node) {
	children := func() {
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			d.judged(c)
		}
	}
	nothing := func() {}
	switch n := n.(type) {
	case *ast.Document:
		children()
	case *ast.Blockquote:
		d.within("quote", nil, children)
	case *extast.TableRow, *extast.TableHeader:
		d.within("row", nil, children)
	case *extast.TableCell:
		d.within("cell", nil, children)
	case *ast.ThematicBreak:
		d.within("rule", nil, children)
	case *ast.Paragraph, *ast.TextBlock:
		d.within("paragraph", nil, children)
	case *extast.Table:
		alignments := make([]alignment, len(n.Alignments))
		for i, a := range n.Alignments {
			alignments[i] = map[extast.Alignment]alignment{
				extast.AlignLeft: alignLeft, extast.AlignRight: alignRight, extast.AlignCenter: alignCenter}[a]
		}
		d.within("table %v", args(alignments), children)
	case *ast.Heading:
		d.within("heading %d ", args(n.Level), children)
	case *ast.List:
		d.within("list %c %v %d", args(n.Marker, n.IsTight, n.Start), children)
	case *ast.ListItem:
		d.within("item", nil, children)
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		d.within("code %q", args(strings.TrimSuffix(d.judgedLines(n), "\n")), nothing)
	case *ast.HTMLBlock:
		d.within("html %q", args(strings.TrimRight(d.judgedLines(n), " \n")), nothing)
	case *ast.LinkReferenceDefinition:
	case *ast.RawHTML:
		d.within("raw %q", args(string(n.Segments.Value(d.source))), nothing)
	default:
		d.judgedInline(n, children)
	}
}

func (d *dumper) judgedInline(n ast.Node, children func()) {
	nothing := func() {}
	switch n := n.(type) {
	case *ast.Text:
		d.words.WriteString(decode(string(n.Segment.Value(d.source))))
		if n.HardLineBreak() {
			d.within("break", nil, nothing)
		} else if n.SoftLineBreak() {
			d.within("soft", nil, nothing)
		}
	case *ast.String:
		d.words.WriteString(decode(string(n.Value)))
	case *ast.CodeSpan:
		var b strings.Builder
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			b.Write(c.(*ast.Text).Segment.Value(d.source))
		}
		d.within("span %q", args(strings.ReplaceAll(b.String(), "\n", " ")), nothing)
	case *ast.Emphasis:
		d.within("emphasis %d ", args(n.Level), children)
	case *extast.Strikethrough:
		d.within("strike ", nil, children)
	case *ast.Link:
		d.within("link %q ", args(string(n.Destination)), children)
	case *ast.Image:
		d.within("link %q ", args(string(n.Destination)), children)
	case *ast.AutoLink:
		d.within("address %q", args(string(n.Label(d.source))), nothing)
	case *extast.TaskCheckBox:
		d.within("task %v", args(n.IsChecked), nothing)
	default:
		panic(fmt.Sprintf("%T", n))
	}
}

func gfmInlineParsers() []util.PrioritizedValue {
	return []util.PrioritizedValue{util.Prioritized(taskParser{}, 0), util.Prioritized(strikeParser{}, 500)}
}

func gfmTable() util.PrioritizedValue { return util.Prioritized(tableTransformer{}, 200) }

// taskParser finds "[ ] " and "[x] " at the head of a list item.
type taskParser struct{}

func (taskParser) Trigger() []byte { return []byte{'['} }

func (taskParser) Parse(parent ast.Node, block text.Reader, _ parser.Context) ast.Node {
	item, ok := parent.Parent().(*ast.ListItem)
	if !ok || item.FirstChild() != parent || parent.HasChildren() {
		return nil
	}
	line, _ := block.PeekLine()
	if len(line) < 4 || line[2] != ']' || !util.IsSpace(line[3]) || !bytes.ContainsRune([]byte(" xX"), rune(line[1])) {
		return nil
	}
	block.Advance(4)
	return extast.NewTaskCheckBox(line[1] != ' ')
}

// strikeParser finds ~~struck~~ text. One tilde does not strike: "3~5" is a range.
type strikeParser struct{}

func (strikeParser) Trigger() []byte { return []byte{'~'} }

func (s strikeParser) Parse(_ ast.Node, block text.Reader, pc parser.Context) ast.Node {
	before := block.PrecendingCharacter()
	line, segment := block.PeekLine()
	node := parser.ScanDelimiter(line, before, 2, s)
	if node == nil || node.OriginalLength != 2 || before == '~' {
		return nil
	}
	node.Segment = segment.WithStop(segment.Start + node.OriginalLength)
	block.Advance(node.OriginalLength)
	pc.PushDelimiter(node)
	return node
}

func (strikeParser) IsDelimiter(b byte) bool { return b == '~' }

func (strikeParser) CanOpenCloser(opener, closer *parser.Delimiter) bool {
	return opener.Char == closer.Char
}

func (strikeParser) OnMatch(int) ast.Node { return extast.NewStrikethrough() }

// tableTransformer makes a table of a paragraph with a delimiter row (github.github.com/gfm, 4.10).
type tableTransformer struct{}

func (tableTransformer) Transform(node *ast.Paragraph, reader text.Reader, _ parser.Context) {
	lines, source := node.Lines(), reader.Source()
	for i := 1; i < lines.Len(); i++ {
		alignments := judgeDelimiterRow(lines.At(i), source)
		if alignments == nil {
			continue
		}
		if len(judgeCells(lines.At(i-1), source)) != len(alignments) || len(alignments)*(lines.Len()-i) > maxCells {
			return
		}
		table := extast.NewTable()
		table.Alignments = alignments
		table.AppendChild(table, extast.NewTableHeader(judgeRow(lines.At(i-1), alignments, source)))
		for j := i + 1; j < lines.Len(); j++ {
			table.AppendChild(table, judgeRow(lines.At(j), alignments, source))
		}
		node.Parent().InsertAfter(node.Parent(), node, table)
		lines.SetSliced(0, i-1)
		if i == 1 {
			node.Parent().RemoveChild(node.Parent(), node)
			return
		}
		last := lines.At(i - 2)
		lines.Set(i-2, last.TrimRightSpace(source))
		return
	}
}

// judgeDelimiterRow reads a row such as |:--|--:|, or gives nil.
func judgeDelimiterRow(segment text.Segment, source []byte) []extast.Alignment {
	if line := segment.Value(source); bytes.IndexByte(line, '|') < 0 || len(bytes.Trim(line, "-:| \t\n")) > 0 {
		return nil
	}
	var alignments []extast.Alignment
	for _, s := range judgeCells(segment, source) {
		cell := s.Value(source)
		left, right := bytes.HasPrefix(cell, []byte(":")), bytes.HasSuffix(cell, []byte(":"))
		dashes := bytes.TrimSuffix(bytes.TrimPrefix(cell, []byte(":")), []byte(":"))
		if len(dashes) == 0 || len(bytes.Trim(dashes, "-")) > 0 {
			return nil
		}
		switch {
		case left && right:
			alignments = append(alignments, extast.AlignCenter)
		case left:
			alignments = append(alignments, extast.AlignLeft)
		case right:
			alignments = append(alignments, extast.AlignRight)
		default:
			alignments = append(alignments, extast.AlignNone)
		}
	}
	return alignments
}

func judgeRow(segment text.Segment, alignments []extast.Alignment, source []byte) *extast.TableRow {
	row := extast.NewTableRow(alignments)
	cells := judgeCells(segment, source)
	if extra := len(cells) - len(alignments); extra > 0 && len(alignments) > 0 {
		cells[len(alignments)-1].Stop = cells[len(cells)-1].Stop // words too many are no reason to lose them
	}
	for c, alignment := range alignments {
		cell := extast.NewTableCell()
		cell.Alignment = alignment
		if c < len(cells) && cells[c].Len() > 0 {
			cell.Lines().Append(cells[c])
		}
		row.AppendChild(row, cell)
	}
	return row
}

// judgeCells cuts a row at the pipes that no backslash precedes.
func judgeCells(segment text.Segment, source []byte) []text.Segment {
	segment = segment.TrimLeftSpace(source)
	segment = segment.TrimRightSpace(source)
	pos, stop := segment.Start, segment.Stop
	if pos < stop && source[pos] == '|' {
		pos++
	}
	var cells []text.Segment
	for i := pos; i <= stop; i++ {
		if i < stop && (source[i] != '|' || i > segment.Start && source[i-1] == '\\') {
			continue
		}
		if i == stop && pos == stop && len(cells) > 0 {
			break // the pipe that ends the row
		}
		cell := text.NewSegment(pos, i)
		cell = cell.TrimLeftSpace(source)
		cells = append(cells, cell.TrimRightSpace(source))
		pos = i + 1
	}
	return cells
}
