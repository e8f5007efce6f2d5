package cmd_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The architecture tests compare the checkout with the design.

// checkout is the top of the repository, relative to this package's folder.
const checkout = ".."

// layers are the packages, the lowest layer first. A package imports only packages of a lower layer.
var layers = [][]string{
	{"pkg/text"},
	{"pkg/state", "pkg/retry"},
	{"pkg/guard", "pkg/wire", "pkg/demo", "pkg/bench", "pkg/term"},
	{"pkg/transport", "pkg/limit", "pkg/audit", "pkg/session", "pkg/config", "pkg/report"},
	{"pkg/hold", "pkg/gateway", "pkg/client"},
	{"cmd"},
	{"."},
}

// layerOf returns the layer of a package, -1 if it has none.
func layerOf(pkg string) int {
	return slices.IndexFunc(layers, func(layer []string) bool { return slices.Contains(layer, pkg) })
}

// source is one Go file of the product. Tests are not included.
type source struct {
	path, pkg string // both relative to the top, with slashes
	file      *ast.File
	set       *token.FileSet
}

// sources parses every Go file for any system, except tests and files below a dot-folder.
func sources(t *testing.T) []source {
	var all []source
	packages := map[string]bool{}
	set := token.NewFileSet()
	for _, name := range projectFiles(t) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, ".") {
			continue
		}
		parsed, err := parser.ParseFile(set, filepath.Join(checkout, name), nil, parser.SkipObjectResolution)
		check(t, err)
		all = append(all, source{name, path.Dir(name), parsed, set})
		packages[path.Dir(name)] = true
	}
	for _, known := range []string{".", "cmd", "pkg/retry", "pkg/wire", "pkg/client"} {
		fatalIf(t, !packages[known], "got no Go files in %s, want some: the search is wrong", known)
	}
	return all
}

func (s source) imports(t *testing.T) []string {
	var paths []string
	for _, spec := range s.file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

func within(name, module string) bool { return name == module || strings.HasPrefix(name, module+"/") }

func TestArchitectureImports(t *testing.T) {
	modules := requiredModules(t)
	for _, s := range sources(t) {
		layer := layerOf(s.pkg)
		if layer < 0 {
			t.Errorf("%s: package %s has no layer", s.path, s.pkg)
			continue
		}
		for _, name := range s.imports(t) {
			own, isOwn := strings.CutPrefix(name, "ferry/")
			switch {
			case isOwn && (layerOf(own) < 0 || layerOf(own) >= layer):
				t.Errorf("%s: %s may not import %s, which is in no lower layer", s.path, s.pkg, name)
			case isOwn && s.pkg == "." && own != "cmd":
				t.Errorf("%s: main imports %s, want only cmd", s.path, name)
			case !isOwn && s.pkg != "cmd" && (within(name, "github.com/spf13/cobra") || within(name, "github.com/spf13/pflag")):
				t.Errorf("%s: only cmd imports Cobra", s.path)
			case !isOwn && isLibrary(name) && !slices.ContainsFunc(slices.Collect(maps.Keys(modules)), func(m string) bool { return within(name, m) }):
				t.Errorf("%s: %s is in no module that go.mod lists", s.path, name)
			}
		}
	}
}

// isLibrary distinguishes a library's import path from one of the standard library: a host name has a dot.
func isLibrary(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return strings.Contains(first, ".")
}

// rule forbids names of the standard library or of a module in packages.
type rule struct {
	names  []string // import path, a dot, the name
	except string   // the package or the file that may use them, "" for none
	why    string
}

var rules = []rule{
	{
		[]string{"os.Args", "os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "os.UserHomeDir", "os.UserConfigDir",
			"os.UserCacheDir", "syscall.Getenv", "syscall.Environ", "net/http.ProxyFromEnvironment",
			"golang.org/x/net/http/httpproxy.FromEnvironment"},
		"cmd", "only cmd reads the arguments and the environment",
	},
	{
		[]string{"os.Exit", "syscall.Exit", "log.Fatal", "log.Fatalf", "log.Fatalln"},
		"main.go", "only main.go ends the process",
	},
	{[]string{"time.Sleep"}, "", "a wait has to end on cancellation"},
	{
		[]string{"text/template.New", "text/template.Must", "html/template.New", "html/template.Must"},
		"", "it calls methods by name, so that the linker keeps them all: 4.5 MB of binary, 2 MiB of memory in every run",
	},
}

func TestArchitectureRules(t *testing.T) {
	uses := map[string]int{}
	for _, s := range sources(t) {
		for name, where := range namesUsed(t, s) {
			uses[name]++
			for _, r := range rules {
				errorIf(t, slices.Contains(r.names, name) && r.except != s.pkg && r.except != s.path, "%s: %s: %s", where, name, r.why)
			}
		}
	}
	// These two must be used somewhere. If the search does not find them, it would not find a violation either.
	for _, name := range []string{"os.Exit", "os.Args"} {
		errorIf(t, uses[name] == 0, "%s was found nowhere: the search is wrong", name)
	}
}

// namesUsed returns every qualified name of a file as import path, dot, name, with one position for each. It searches
// the syntax tree, so it finds renamed imports and ignores comments.
func namesUsed(t *testing.T, s source) map[string]token.Position {
	imported := map[string]string{}
	for i, name := range s.imports(t) {
		local := path.Base(name)
		if given := s.file.Imports[i].Name; given != nil {
			local = given.Name
		}
		errorIf(t, local == ".", "%s: a dot import hides where a name comes from", s.path)
		imported[local] = name
	}
	used := map[string]token.Position{}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if left, ok := selector.X.(*ast.Ident); ok && imported[left.Name] != "" {
				used[imported[left.Name]+"."+selector.Sel.Name] = s.set.Position(selector.Pos())
			}
		}
		return true
	})
	return used
}

// topLevel lists everything allowed at the top, apart from dot-files and dot-folders.
var topLevel = []string{
	"main.go", "cmd", "pkg", "testdata", "completions", "go.mod", "go.sum", "Makefile", "README.md", "README.zh-CN.md",
	"LICENSE", "CHANGELOG.md",
}

// projectFiles lists the files of the project, relative to the top and with slashes: those that git tracks or would
// track.
func projectFiles(t *testing.T) []string {
	git := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	git.Dir = checkout
	out, err := git.Output()
	if err != nil || len(out) == 0 {
		skipMissing(t, "a clone and git, which lists its files")
	}
	files := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	files = slices.DeleteFunc(files, func(name string) bool { // git still lists a tracked file that was removed and not yet committed
		_, err := os.Lstat(filepath.Join(checkout, name))
		return err != nil
	})
	for _, known := range []string{"main.go", "go.mod", "cmd/architecture_test.go"} {
		fatalIf(t, !slices.Contains(files, known), "%s is not among the %d files found", known, len(files))
	}
	return files
}

func TestArchitectureTopLevel(t *testing.T) {
	for _, file := range projectFiles(t) {
		first, _, _ := strings.Cut(file, "/")
		errorIf(t, !strings.HasPrefix(first, ".") && !slices.Contains(topLevel, first),
			"%s: %s may not stand at the top", file, first)
	}
}

// TestArchitectureNoMachinePaths looks for paths of the machines on which the project was written.
func TestArchitectureNoMachinePaths(t *testing.T) {
	for _, file := range projectFiles(t) {
		text, err := os.ReadFile(filepath.Join(checkout, file))
		check(t, err)
		for number, line := range bytes.Split(text, []byte("\n")) {
			for _, name := range []string{"work", "root"} { // built here so that this file does not match itself
				if bad := "/" + name + "/"; bytes.Contains(line, []byte(bad)) {
					t.Errorf("%s:%d names %s, want no path of a machine", file, number+1, bad)
				}
			}
		}
	}
}

// requiredModules reads go.mod: module path → version.
func requiredModules(t *testing.T) map[string]string {
	text := read(t, filepath.Join(checkout, "go.mod"))
	modules := map[string]string{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && isLibrary(fields[0]) && strings.HasPrefix(fields[1], "v") {
			modules[fields[0]] = fields[1]
		}
	}
	fatalIf(t, modules["github.com/spf13/cobra"] == "", "go.mod lists no Cobra: it was misread as %v", modules)
	return modules
}

// slowAtInit are libraries whose init costs more than a complete run of curl, or queries the terminal.
var slowAtInit = []string{"glamour", "chroma", "bubbles", "bubbletea"}

func TestArchitectureModules(t *testing.T) {
	const runewidth, newest = "github.com/mattn/go-runewidth", "v0.0.24" // later versions build tables at init, which takes 21 to 33 ms
	if have := requiredModules(t)[runewidth]; have != "" && newer(t, have, newest) {
		t.Errorf("%s is at %s; after %s it is slow at start-up", runewidth, have, newest)
	}
	for _, system := range []string{"linux", "darwin", "windows"} {
		list := exec.Command("go", "list", "-deps", ".")
		list.Dir = checkout
		list.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		var notes bytes.Buffer
		list.Stderr = &notes
		out, err := list.Output()
		fatalIf(t, err != nil, "go list: %v\n%s", err, notes.Bytes())
		packages := strings.Fields(string(out))
		fatalIf(t, !slices.Contains(packages, "ferry/cmd"),
			"go list -deps does not name ferry/cmd among %d packages", len(packages))
		for _, name := range packages {
			for element := range strings.SplitSeq(name, "/") {
				errorIf(t, slices.Contains(slowAtInit, element),
					"%s: %s is linked in; it is too slow at start-up", system, name)
			}
		}
	}
}

// newer compares versions of three numbers and ignores what follows a dash.
func newer(t *testing.T, a, b string) bool {
	numbers := func(version string) (n [3]int) {
		core, _, _ := strings.Cut(version, "-")
		if _, err := fmt.Sscanf(core, "v%d.%d.%d", &n[0], &n[1], &n[2]); err != nil {
			t.Fatalf("version %q: %v", version, err)
		}
		return n
	}
	x, y := numbers(a), numbers(b)
	return slices.Compare(x[:], y[:]) > 0
}

// pinnedAction matches an action pinned to a commit, with its version in a comment.
var pinnedAction = regexp.MustCompile(`^(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

// TestArchitectureWorkflows checks that actions are pinned to a commit, because a tag can be moved to other code.
func TestArchitectureWorkflows(t *testing.T) {
	for line, pinned := range map[string]bool{
		"- uses: actions/checkout@" + strings.Repeat("0a", 20) + " # v6.0.2": true,
		"- uses: actions/checkout@v6":                                        false,
		"uses: actions/checkout@main # v6.0.2":                               false,
		"uses: actions/checkout@" + strings.Repeat("0a", 20):                 false,
		"uses: ./.github/actions/own":                                        false,
	} {
		errorIf(t, pinnedAction.MatchString(line) != pinned, "the pattern is wrong about %s", line)
	}
	files, err := filepath.Glob(filepath.Join(checkout, ".github", "workflows", "*"))
	check(t, err)
	actions := 0
	for _, path := range files {
		text := read(t, path)
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); !strings.Contains(line, "uses:") {
				continue
			}
			actions++
			errorIf(t, !pinnedAction.MatchString(line),
				"%s: want OWNER/NAME@COMMIT # vX.Y.Z: %s", filepath.Base(path), line)
		}
	}
	errorIf(t, actions == 0, "no action in %d workflows: they were misread", len(files))
}

// TestChineseTable checks that each row begins with words that ferry still prints, in a source or a story, and that no
// text is lost in the table.
func TestChineseTable(t *testing.T) {
	var said strings.Builder
	for _, s := range sources(t) {
		said.WriteString(read(t, filepath.Join(checkout, s.path)))
	}
	stories, err := filepath.Glob(filepath.Join(checkout, "testdata", "script", "*.txtar"))
	fatalIf(t, err != nil || len(stories) == 0, "%d stories, %v", len(stories), err)
	for _, path := range stories { // for messages of libraries
		said.WriteString(read(t, path))
	}
	hole := regexp.MustCompile(`\{\d?\}`)
	rows := regexp.MustCompile(`(?m)^(.*) → (.*)$`).FindAllStringSubmatch(read(t, "chinese.txt"), -1)
	atLeast(t, "rows", len(rows), 70)
	for _, row := range rows {
		english, chinese := row[1], row[2]
		first := strings.TrimSpace(strings.Join(strings.SplitN(strings.TrimPrefix(english, "{}"), "{}", 2)[:1], ""))
		errorIf(t, !strings.Contains(said.String(), strings.TrimRight(first, ":…")), "%q is nothing that ferry says", first)
		equal(t, "texts in "+chinese, len(hole.FindAllString(chinese, -1)), len(hole.FindAllString(english, -1)))
		errorIf(t, !regexp.MustCompile(`\p{Han}`).MatchString(chinese), "%q is not Chinese", chinese)
	}
}
