package cmd_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a reader can hold at once: a file, and a function from its first line to its last. What has to be longer says why
// in a comment of the form of longForm, over the package clause for a file, in its doc comment for a function.
const (
	fileLines     = 400
	functionLines = 80
	longForm      = "//house:long "
)

// TestHouseSize holds every Go file to these, tests and the programs in .ci included.
func TestHouseSize(t *testing.T) {
	seen := 0
	for _, name := range houseFiles(t) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		seen++
		text, err := os.ReadFile(filepath.Join(checkout, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range oversize(t, name, text) {
			t.Error(fault)
		}
	}
	if seen < 300 {
		t.Fatalf("only %d Go files were found", seen)
	}
}

// oversize lists what is too long in a file without a reason, and reasons of what is not too long.
func oversize(t *testing.T, name string, text []byte) (faults []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	reasons := 0
	judge := func(what string, lines, most int, comments ...*ast.CommentGroup) {
		reason := slices.ContainsFunc(comments, givesReason)
		switch {
		case reason && lines <= most:
			faults = append(faults, fmt.Sprintf("%s has %d lines, and needs no %sany more", what, lines, longForm))
		case !reason && lines > most:
			faults = append(faults, fmt.Sprintf("%s has %d lines, over %d", what, lines, most))
		}
		if reason {
			reasons++
		}
	}
	var over []*ast.CommentGroup
	for _, group := range file.Comments {
		if group.End() < file.Package {
			over = append(over, group)
		}
	}
	judge(name, strings.Count(string(text), "\n"), fileLines, over...)
	for _, declared := range file.Decls {
		doc := docOf(declared)
		ast.Inspect(declared, func(n ast.Node) bool {
			switch f := n.(type) {
			case *ast.FuncDecl:
				judge(name+": "+f.Name.Name, spanOf(set, f), functionLines, doc)
			case *ast.FuncLit:
				if _, within := declared.(*ast.FuncDecl); !within { // of those the function around them answers
					judge(name+": a function literal", spanOf(set, f), functionLines, doc)
				}
			}
			return true
		})
	}
	if given := strings.Count("\n"+string(text), "\n"+longForm); given != reasons {
		faults = append(faults, fmt.Sprintf("%s: %d of %d comments %swith a reason stand beside nothing", name, given-reasons, given, longForm))
	}
	return faults
}

func docOf(declared ast.Decl) *ast.CommentGroup {
	switch d := declared.(type) {
	case *ast.FuncDecl:
		return d.Doc
	case *ast.GenDecl:
		return d.Doc
	}
	return nil
}

func spanOf(set *token.FileSet, f ast.Node) int {
	return set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1
}

// givesReason looks for a reason of three words at the least.
func givesReason(group *ast.CommentGroup) bool {
	return group != nil && slices.ContainsFunc(group.List, func(c *ast.Comment) bool {
		reason, ok := strings.CutPrefix(c.Text, longForm)
		return ok && len(strings.Fields(reason)) >= 3
	})
}

// TestHouseSizeFinds holds the search to finding what is too long, and nothing else.
func TestHouseSizeFinds(t *testing.T) {
	const reason = longForm + "a table of the standard\n"
	function := func(lines int) string { return "func f() {\n" + strings.Repeat("\n", lines-2) + "}\n" }
	literal := func(lines int) string { return "var f = func() {\n" + strings.Repeat("\n", lines-2) + "}\n" }
	tests := []struct{ name, text, want string }{
		{"short", "package p\n" + function(80), ""},
		{"a long function", "package p\n" + function(81), "f.go: f has 81 lines, over 80"},
		{"a long function with a reason", "package p\n// f is.\n//\n" + reason + function(81), ""},
		{"a long function with a word", "package p\n" + longForm + "sorry\n" + function(81), "f.go: f has 81 lines, over 80\n" +
			"f.go: 1 of 1 comments //house:long with a reason stand beside nothing"},
		{"a short function with a reason", "package p\n" + reason + function(80), "f.go: f has 80 lines, and needs no //house:long any more"},
		{"a long function in a variable", "package p\n" + literal(81), "f.go: a function literal has 81 lines, over 80"},
		{"a file", "package p\n" + strings.Repeat("\n", 399), ""},
		{"a long file", "package p\n" + strings.Repeat("\n", 400), "f.go has 401 lines, over 400"},
		{"a long file with a reason", reason + "\npackage p\n" + strings.Repeat("\n", 400), ""},
		{"a reason beside nothing", "package p\n" + reason + "var x = 1\n", "f.go: 1 of 1 comments //house:long with a reason stand beside nothing"},
	}
	for _, test := range tests {
		if got := strings.Join(oversize(t, "f.go", []byte(test.text)), "\n"); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}
