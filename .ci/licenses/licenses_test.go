package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// TestComplete builds ferry for two systems and holds both files to the modules that the binaries say they have. A license
// without its text is none.
func TestComplete(t *testing.T) {
	modules, err := linked("../..", targets)
	if err != nil {
		t.Fatal(err)
	}
	text := texts(modules)
	written, err := billOf("1.2.3", "2026-11-27T12:00:00+01:00", modules)
	if err != nil {
		t.Fatal(err)
	}
	var b bill
	if err := json.Unmarshal(written, &b); err != nil {
		t.Fatal(err)
	}
	if b.Metadata.Timestamp != "2026-11-27T11:00:00Z" || b.Metadata.Component.PURL != "pkg:golang/ferry@1.2.3" {
		t.Errorf("%+v", b.Metadata)
	}
	for _, target := range []string{"linux/amd64", "windows/arm64"} {
		for _, m := range modulesOf(t, target) {
			at := slices.IndexFunc(b.Components, func(c component) bool { return c.PURL == "pkg:golang/"+m.Path+"@"+m.Version })
			if at < 0 || !strings.Contains(b.Components[at].Properties[0].Value, target) || !slices.Contains(b.Dependencies[0].On, b.Components[at].Ref) {
				t.Errorf("the bill does not have %s %s for %s", m.Path, m.Version, target)
			}
			if !strings.Contains(text, "\n"+m.Path+" "+m.Version+"\n") {
				t.Errorf("there is no license of %s %s", m.Path, m.Version)
			}
		}
	}
	for _, m := range modules {
		if len(m.files) == 0 || len(m.files[0].text) < 500 {
			t.Errorf("%s: %d files", m.path, len(m.files))
		}
	}
	for _, part := range []string{"\nGo " + modules[0].version + "\n", "The Go Authors", "--- PATENTS", "--- NOTICE", "--- THIRD_PARTY_LICENSES/Cephes-LICENSE"} {
		if !strings.Contains(text, part) {
			t.Errorf("the licenses have no %q", part)
		}
	}
}

// modulesOf returns the modules in a binary, as it says itself.
func modulesOf(t *testing.T, target string) []*debug.Module {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "ferry")
	system, arch, _ := strings.Cut(target, "/")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, ".")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil || len(info.Deps) < 10 {
		t.Fatalf("the binary says %v, %v", info, err)
	}
	return info.Deps
}

// TestSame writes everything twice.
func TestSame(t *testing.T) {
	t.Chdir("../..")
	first := map[string]string{}
	for range 2 {
		folder := filepath.Join(t.TempDir(), "out")
		if err := run("1.2.3", "2026-11-27T11:00:00Z", []string{folder}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"THIRD_PARTY_LICENSES", "ferry.cdx.json"} {
			content, err := os.ReadFile(filepath.Join(folder, name))
			if first[name] = cmp.Or(first[name], string(content)); err != nil || string(content) != first[name] {
				t.Errorf("%s: another one the second time, %v", name, err)
			}
		}
	}
}

func TestIdentify(t *testing.T) {
	redistribution := "Redistribution and use in source and binary forms, with or without\nmodification, are permitted: " +
		"this list of conditions and the following disclaimer in the\ndocumentation. "
	for _, test := range []struct{ name, text, want string }{
		{"LICENSE", "Apache License\n Version 2.0, January 2004", "Apache-2.0"},
		{"license.txt", "Permission is hereby granted, free of charge, to any person. THE SOFTWARE IS PROVIDED \"AS IS\"", "MIT"},
		{"COPYING", redistribution, "BSD-2-Clause"},
		{"LICENCE", redistribution + "Neither the\nname of the project nor", "BSD-3-Clause"},
		{"LICENSE", "GNU GENERAL PUBLIC LICENSE Version 3", ""},
		{"NOTICE", "Apache License Version 2.0, January 2004", ""},
		{"internal/a/LICENSE", redistribution, ""},
	} {
		got, err := identify([]file{{test.name, test.text}})
		if got != test.want || (err == nil) != (test.want != "") || err != nil && !errors.Is(err, errLicense) {
			t.Errorf("%s, %.20q: %q, %v, want %q", test.name, test.text, got, err, test.want)
		}
	}
	if _, err := identify(nil); !errors.Is(err, errLicense) {
		t.Errorf("no file at all: %v", err)
	}
}

// TestLicenseFiles takes the texts of a module's root and of the folders that are linked, and of no other folder.
func TestLicenseFiles(t *testing.T) {
	root := filepath.Join(t.TempDir(), "module")
	for _, name := range []string{"LICENSE", "license.go", "NOTICE.md", "third_party_licenses/one", "a/LICENSE", "a/b/code.go", "c/LICENSE", "../LICENSE"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := licenseFiles([]string{root, filepath.Join(root, "a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	if want := []string{"LICENSE", "NOTICE.md", "a/LICENSE", "third_party_licenses/one"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
