package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestHouseLong holds what -short leaves out to being said: such a test begins with a skip that gives the reason, as such
// a story does, and the Makefile lists it, for make soak to run.
func TestHouseLong(t *testing.T) {
	listed := longList(t)
	var found []string
	for _, name := range houseFiles(t) {
		if !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, ".txtar") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(checkout, name))
		if err != nil {
			t.Fatal(err)
		}
		if path.Ext(name) == ".txtar" {
			for line := range strings.Lines(string(text)) {
				switch reason, skips := strings.CutPrefix(line, "[short] skip "); {
				case skips && strings.HasPrefix(reason, "'long: "):
					found = append(found, "TestStories/"+strings.TrimSuffix(path.Base(name), ".txtar"))
				case strings.Contains(line, "short]"):
					t.Errorf("%s: %s is no skip with a reason", name, strings.TrimSpace(line))
				}
			}
			continue
		}
		found = append(found, longTests(t, name, text)...)
	}
	slices.Sort(found)
	if !slices.Equal(found, listed) {
		t.Errorf("skipped under -short:\n%s\nlisted in the Makefile:\n%s", strings.Join(found, " "), strings.Join(listed, " "))
	}
}

// longList is the Makefile's LONG.
func longList(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(strings.ReplaceAll(string(text), "\\\n", " "), "\nLONG ")
	if !ok {
		t.Fatal("the Makefile has no LONG")
	}
	list, _, _ = strings.Cut(list, "\n")
	return strings.Fields(strings.TrimLeft(list, " ="))
}

// longTests are the tests of a file that begin with the skip. A use of testing.Short elsewhere is a fault: it would leave
// out a part of a test unseen.
func longTests(t *testing.T, name string, text []byte) (found []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	uses := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if isShort(n) {
			uses++
		}
		return true
	})
	for _, declared := range file.Decls {
		f, ok := declared.(*ast.FuncDecl)
		if !ok || f.Body == nil || len(f.Body.List) == 0 {
			continue
		}
		first, ok := f.Body.List[0].(*ast.IfStmt)
		if !ok || !isShort(first.Cond) || !skipsAsLong(first.Body) {
			continue
		}
		found = append(found, f.Name.Name)
		uses--
	}
	if uses != 0 {
		t.Errorf("%s: %d uses of testing.Short are no first line of a test that skips it as long", name, uses)
	}
	return found
}

func isShort(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == "Short"
}

func skipsAsLong(body *ast.BlockStmt) bool {
	if len(body.List) != 1 {
		return false
	}
	statement, ok := body.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := statement.X.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	reason, isText := call.Args[0].(*ast.BasicLit)
	if !ok || !isText || selector.Sel.Name != "Skip" {
		return false
	}
	said, err := strconv.Unquote(reason.Value)
	return err == nil && strings.HasPrefix(said, "long: ") && len(said) > len("long: ")+5
}
