package cmd_test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The tests in this file run the real binary, because they check what happens before or outside of cmd.Run.

// TestArchitectureBinary runs the real ferry binary.
func TestArchitectureBinary(t *testing.T) {
	skipIfShort(t, "builds the binary and starts it many times")
	binary := buildFerry(t)
	t.Run("size and linking", func(t *testing.T) { testSizeAndLinking(t, binary) })
	t.Run("start-up", func(t *testing.T) { testStartup(t, binary) })
	t.Run("completions", func(t *testing.T) { testCompletions(t, binary) })
}

// builtFerry is the folder of the binary that buildFerry built.
var builtFerry struct {
	sync.Once
	dir string
}

// buildFerry builds ferry as `make build` does, once for all tests that need the real binary.
func buildFerry(t *testing.T) (binary string) {
	name := "ferry"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	builtFerry.Do(func() {
		var err error
		builtFerry.dir, err = os.MkdirTemp("", "ferry")
		check(t, err)
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(builtFerry.dir, name), ".")
		build.Dir = checkout
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	})
	return filepath.Join(builtFerry.dir, name)
}

// emptyEnv returns an environment without configuration and with an empty home.
func emptyEnv(t *testing.T, more ...string) []string {
	home := t.TempDir()
	env := []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_STATE_HOME=" + home, "PATH=" + os.Getenv("PATH")}
	if runtime.GOOS == "windows" {
		env = append(env, "SystemRoot="+os.Getenv("SystemRoot"), "USERPROFILE="+home, "AppData="+home, "LocalAppData="+home)
	}
	return append(env, more...)
}

func testSizeAndLinking(t *testing.T, binary string) {
	info, err := os.Stat(binary)
	check(t, err)
	if limit := int64(20_000_000); info.Size() > limit {
		t.Errorf("the binary has %d bytes, the limit is %d", info.Size(), limit)
	}
	if runtime.GOOS != "linux" {
		return
	}
	file, err := elf.Open(binary)
	check(t, err)
	defer file.Close()
	fatalIf(t, len(file.Progs) == 0, "the binary has no program headers: it was misread")
	for _, program := range file.Progs {
		errorIf(t, program.Type == elf.PT_INTERP || program.Type == elf.PT_DYNAMIC,
			"the binary is not static: it has a %v segment", program.Type)
	}
}

// Every command pays for the init functions of ferry and its libraries. initAllocs is the limit for all their
// allocations. Their time, about 0.6 ms, is reported; initClock, in ms, is twenty times that, which no busy machine
// exceeds in each of five runs.
const initAllocs, initClock = 1500, 12.0

var initLine = regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, (\S+) ms clock, \d+ bytes, (\d+) allocs`)

func testStartup(t *testing.T, binary string) {
	best, allocs, listing := math.MaxFloat64, 0, ""
	for range 5 { // a busy machine makes an init slower, but nothing makes it faster
		command := exec.Command(binary, "version")
		command.Env = emptyEnv(t, "GODEBUG=inittrace=1")
		var trace bytes.Buffer
		command.Stderr = &trace
		if err := command.Run(); err != nil {
			t.Fatalf("ferry version: %v\n%s", err, trace.Bytes())
		}
		var sum float64
		var std int
		sum, allocs, listing, std = initCosts(t, trace.String())
		fatalIf(t, std == 0 || listing == "", "no init of std, or none outside of it, in the trace:\n%s", trace.Bytes())
		best = min(best, sum)
	}
	t.Logf("inits outside std: %.3f ms, %d allocations", best, allocs)
	if allocs > initAllocs || best > initClock {
		t.Errorf("inits outside std take %.3f ms and %d allocations in all, the limits are %.1f ms and %d:\n%s",
			best, allocs, initClock, initAllocs, listing)
	}
}

// initCosts adds up the milliseconds and the allocations of the init functions outside std, lists them, and counts
// the init functions of std.
func initCosts(t *testing.T, trace string) (sum float64, allocs int, listing string, std int) {
	var lines strings.Builder
	for _, match := range initLine.FindAllStringSubmatch(trace, -1) {
		name := match[1]
		if name != "main" && !strings.HasPrefix(name, "ferry/") && !isLibrary(name) {
			std++
			continue
		}
		clock, err := strconv.ParseFloat(match[2], 64)
		fatalIf(t, err != nil, "%q: %v", match[0], err)
		n, err := strconv.Atoi(match[3])
		fatalIf(t, err != nil, "%q: %v", match[0], err)
		sum, allocs = sum+clock, allocs+n
		lines.WriteString(match[0] + "\n")
	}
	return sum, allocs, lines.String(), std
}

func testCompletions(t *testing.T, binary string) {
	for shell, ending := range map[string]string{"bash": "bash", "zsh": "zsh", "fish": "fish", "powershell": "ps1"} {
		command := exec.Command(binary, "completion", shell)
		command.Env = emptyEnv(t)
		want, err := command.Output()
		if err != nil || len(want) == 0 {
			t.Errorf("ferry completion %s: %v, %d bytes", shell, err, len(want))
			continue
		}
		file := filepath.Join(checkout, "completions", "ferry."+ending)
		if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not current (make completions): %v", file, err)
		}
	}
}

const (
	fileLines     = 500
	functionLines = 80
)

// TestArchitectureSize checks the size limits of every Go file, including tests and the programs in .ci.
func TestArchitectureSize(t *testing.T) {
	for _, name := range projectFiles(t) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		text := read(t, filepath.Join(checkout, name))
		for _, fault := range oversize(t, name, []byte(text)) {
			t.Error(fault)
		}
	}
}

// oversize lists what is too long in a file. A function literal counts if it is not inside a function.
func oversize(t *testing.T, name string, text []byte) (faults []string) {
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
