package cmd_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	fileLines     = 500
	functionLines = 80
)

// TestArchitectureSize holds every Go file to these, tests and the programs in .ci included.
func TestArchitectureSize(t *testing.T) {
	for _, name := range projectFiles(t) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(checkout, name))
		check(t, err)
		for _, fault := range oversize(t, name, text) {
			t.Error(fault)
		}
	}
}

// oversize lists what is too long in a file. A function literal counts where no function is around it.
func oversize(t *testing.T, name string, text []byte) (faults []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	check(t, err)
	check := func(what string, lines, most int) {
		if lines > most {
			faults = append(faults, fmt.Sprintf("%s has %d lines, over %d", what, lines, most))
		}
	}
	check(name, bytes.Count(text, []byte("\n")), fileLines)
	ast.Inspect(file, func(n ast.Node) bool {
		what := ""
		switch f := n.(type) {
		case *ast.FuncDecl:
			what = f.Name.Name
		case *ast.FuncLit:
			what = "a function literal"
		default:
			return true
		}
		check(name+": "+what, set.Position(n.End()).Line-set.Position(n.Pos()).Line+1, functionLines)
		return false
	})
	return faults
}

func TestArchitectureSizeFinds(t *testing.T) {
	function := func(lines int) string { return "package p\nfunc f() {\n" + strings.Repeat("\n", lines-2) + "}\n" }
	literal := func(lines int) string { return "package p\nvar f = func() {\n" + strings.Repeat("\n", lines-2) + "}\n" }
	for _, test := range []struct{ name, text, want string }{
		{"short", function(80), ""},
		{"a long function", function(81), "f.go: f has 81 lines, over 80"},
		{"a long function in a variable", literal(81), "f.go: a function literal has 81 lines, over 80"},
		{"a file", "package p\n" + strings.Repeat("\n", 499), ""},
		{"a long file", "package p\n" + strings.Repeat("\n", 500), "f.go has 501 lines, over 500"},
	} {
		if got := strings.Join(oversize(t, "f.go", []byte(test.text)), "\n"); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
