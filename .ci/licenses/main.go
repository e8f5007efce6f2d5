// Command licenses writes what a release has to state about the code that it contains: THIRD_PARTY_LICENSES, the texts
// of all linked modules and of Go itself, and ferry.cdx.json, a bill of materials (CycloneDX). It takes the modules
// from Go's list of what the binary for each system links. It fails if a module has no license or one that is not known
// here.
//
//	licenses -version VERSION -date DATE FOLDER     DATE is RFC 3339
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// targets are the same as in the Makefile.
var targets = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

func main() {
	version := flag.String("version", "", "the version of ferry")
	date := flag.String("date", "", "when it was made, RFC 3339: the files are the same whenever they are written")
	flag.Parse()
	if err := run(*version, *date, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

func run(version, date string, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one folder, got %d arguments", len(args))
	}
	modules, err := linked(".", targets)
	if err != nil {
		return err
	}
	bill, err := billOf(version, date, modules)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(args[0], "THIRD_PARTY_LICENSES"), []byte(texts(modules)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(args[0], "ferry.cdx.json"), bill, 0o644)
}

// texts returns the license texts, each under its module's name and version.
func texts(modules []module) string {
	var b strings.Builder
	b.WriteString("ferry is linked with Go's standard library and the modules below, under their licenses.\n")
	for _, m := range modules {
		fmt.Fprintf(&b, "\n%s\n%s %s\n%s\n", strings.Repeat("=", 80), m.path, m.version, strings.Repeat("=", 80))
		for _, f := range m.files {
			fmt.Fprintf(&b, "\n--- %s\n\n%s\n", f.name, strings.TrimSpace(f.text))
		}
	}
	return b.String()
}
