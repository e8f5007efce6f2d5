package term

import "strings"

// maxCells bounds a table: a wide head makes a whole row of cells out of a line of one letter.
const maxCells = 1 << 17

// makeTable makes a table of a paragraph with a delimiter row (github.github.com/gfm, 4.10). Lines above its head stay
// a paragraph.
func makeTable(n *node) {
	lines := n.block.lines
	for i := 1; i < len(lines); i++ {
		alignments := delimiterRow(lines[i])
		if alignments == nil {
			continue
		}
		if len(splitRow(lines[i-1])) != len(alignments) || len(alignments)*(len(lines)-i) > maxCells {
			return
		}
		table := newBlock(kindTable, n.block.start+i-1)
		table.block.end = n.block.end
		table.block.alignments = alignments
		table.append(tableRow(lines[i-1], alignments))
		for _, line := range lines[i+1:] {
			table.append(tableRow(line, alignments))
		}
		n.insertAfter(table)
		n.block.lines, n.block.end = lines[:i-1], n.block.start+i-2
		if i == 1 {
			n.unlink()
			n.kind = kindTable
			return
		}
		n.block.lines[i-2] = strings.TrimRight(lines[i-2], " \t")
		return
	}
}

// delimiterRow reads a row such as |:--|--:|, or gives nil.
func delimiterRow(line string) []alignment {
	if strings.IndexByte(line, '|') < 0 || strings.Trim(line, "-:| \t") != "" {
		return nil
	}
	var alignments []alignment
	for _, cell := range splitRow(line) {
		dashes := strings.TrimSuffix(strings.TrimPrefix(cell, ":"), ":")
		if dashes == "" || strings.Trim(dashes, "-") != "" {
			return nil
		}
		a := alignNone
		if cell[0] == ':' {
			a |= alignLeft
		}
		if cell[len(cell)-1] == ':' {
			a |= alignRight
		}
		alignments = append(alignments, a)
	}
	return alignments
}

func tableRow(line string, alignments []alignment) *node {
	row := newBlock(kindRow, 0)
	cells := splitRow(line)
	if extra := len(cells) - len(alignments); extra > 0 {
		cells = splitRowN(line, len(alignments)) // words too many are no reason to lose them
	}
	for c := range alignments {
		cell := newBlock(kindCell, 0)
		if c < len(cells) && cells[c] != "" {
			cell.block.lines = cells[c : c+1]
		}
		row.append(cell)
	}
	return row
}

func splitRow(line string) []string { return splitRowN(line, -1) }

// splitRowN cuts a row at the pipes that no backslash precedes, into so many cells at the most unless most is negative.
func splitRowN(line string, most int) []string {
	line = strings.Trim(line, " \t")
	line = strings.TrimPrefix(line, "|")
	var cells []string
	start := 0
	for i := 0; i <= len(line); i++ {
		if i < len(line) && (line[i] != '|' || i > 0 && line[i-1] == '\\' || len(cells)+1 == most && i+1 < len(line)) {
			continue
		}
		if i == len(line) && start == i && len(cells) > 0 {
			break // the pipe that ends the row
		}
		cells = append(cells, strings.Trim(line[start:i], " \t"))
		start = i + 1
	}
	return cells
}
