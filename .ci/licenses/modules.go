package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// module is a linked module, or Go itself, with the license texts that must go with it.
type module struct {
	path, version string
	targets       []string // the targets whose binaries link it
	folders       []string // its root, then the folders of its linked packages
	files         []file
	license       string // its SPDX identifier
}

type file struct{ name, text string }

const goItself = "Go"

// linked returns Go and the modules whose packages the program in a folder links for these targets.
func linked(folder string, targets []string) ([]module, error) {
	all := map[string]*module{}
	for _, target := range targets {
		packages, err := list(folder, target)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			path, version, moduleFolder, packageFolder := p[0], p[1], p[2], p[3]
			m := all[path]
			if m == nil {
				m = &module{path: path, version: version, folders: []string{moduleFolder}}
				all[path] = m
			}
			if !slices.Contains(m.targets, target) {
				m.targets = append(m.targets, target)
			}
			m.folders = append(m.folders, packageFolder)
		}
	}
	var modules []module
	for _, path := range slices.Sorted(maps.Keys(all)) {
		m := all[path]
		var err error
		if m.files, err = licenseFiles(m.folders); err == nil {
			m.license, err = identify(m.files)
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.path, m.version, err)
		}
		modules = append(modules, *m)
	}
	return modules, nil
}

// list returns, for each linked package of a module, the module's path, version and folder, and the package's folder.
// For a package of Go itself, both folders are Go's root.
func list(folder, target string) (packages [][4]string, err error) {
	format := "{{if .Standard}}" + goItself + "\t" + strings.TrimPrefix(runtime.Version(), "go") + "\t{{.Root}}\t{{.Root}}{{end}}" +
		"{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}"
	system, arch, _ := strings.Cut(target, "/")
	c := exec.Command("go", "list", "-deps", "-f", format, ".")
	c.Dir, c.Env = folder, append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w: %s", target, err, &said)
	}
	for line := range strings.Lines(string(out)) {
		packages = append(packages, [4]string(strings.Split(strings.TrimSuffix(line, "\n"), "\t")))
	}
	return packages, nil
}

var licenseName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|third_party_licen[cs]e)`)

// licenseFiles reads the files with a license name in the first folder, in the other folders, and in the folders
// between.
func licenseFiles(folders []string) (files []file, err error) {
	root := folders[0]
	seen := map[string]bool{}
	for _, folder := range folders {
		for ; !seen[folder] && strings.HasPrefix(folder, root); folder = filepath.Dir(folder) {
			seen[folder] = true
			entries, err := os.ReadDir(folder)
			if err != nil {
				return nil, err
			}
			for _, entry := range entries {
				if !licenseName.MatchString(entry.Name()) || filepath.Ext(entry.Name()) == ".go" {
					continue
				}
				err := filepath.WalkDir(filepath.Join(folder, entry.Name()), func(path string, entry fs.DirEntry, err error) error {
					if err != nil || entry.IsDir() {
						return err
					}
					text, err := os.ReadFile(path)
					name, _ := filepath.Rel(root, path)
					files = append(files, file{filepath.ToSlash(name), string(text)})
					return err
				})
				if err != nil {
					return nil, err
				}
			}
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// known are the licenses that ferry may be linked with, each with words that occur in no other license.
var known = []struct {
	id    string
	words []string
}{
	{"Apache-2.0", []string{"Apache License", "Version 2.0, January 2004"}},
	{"MIT", []string{"Permission is hereby granted, free of charge", "THE SOFTWARE IS PROVIDED \"AS IS\""}},
	{"BSD-3-Clause", []string{"Redistribution and use in source and binary forms", "Neither the name of"}},
	{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms", "this list of conditions and the following disclaimer in the documentation"}},
}

var errLicense = errors.New("it has no license that is known here")

// identify returns the license in a module's root folder.
func identify(files []file) (id string, err error) {
	for _, f := range files {
		if !strings.HasPrefix(strings.ToLower(f.name), "licen") && !strings.HasPrefix(strings.ToLower(f.name), "copying") {
			continue
		}
		text := strings.Join(strings.Fields(f.text), " ")
		for _, k := range known {
			if !slices.ContainsFunc(k.words, func(words string) bool { return !strings.Contains(text, words) }) {
				return k.id, nil
			}
		}
	}
	return "", errLicense
}
