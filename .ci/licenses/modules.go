package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is a linked module, or Go itself, with the license texts that must go with it.
type module struct {
	path, version string
	targets       []string // the targets whose binaries link it
	files         []file
	license       string // its SPDX identifier
}

type file struct{ name, text string }

const goItself = "Go"

// linked returns Go and the modules whose packages the program in a folder links for these targets.
func linked(folder string, targets []string) ([]module, error) {
	root, version, err := goRoot()
	if err != nil {
		return nil, err
	}
	all := map[string]*module{goItself: {path: goItself, version: version, targets: targets}}
	folders := map[string][]string{goItself: {root}} // the folders of each module, its root first
	for _, target := range targets {
		packages, err := list(folder, target)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			path, version, moduleFolder, packageFolder := p[0], p[1], p[2], p[3]
			m := all[path]
			if m == nil {
				m = &module{path: path, version: version}
				all[path], folders[path] = m, []string{moduleFolder}
			}
			if !slices.Contains(m.targets, target) {
				m.targets = append(m.targets, target)
			}
			folders[path] = append(folders[path], packageFolder)
		}
	}
	var modules []module
	for path, m := range all {
		if m.files, err = licenseFiles(folders[path]); err == nil {
			m.license, err = identify(m.files)
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.path, m.version, err)
		}
		modules = append(modules, *m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return modules, nil
}

func goRoot() (root, version string, err error) {
	out, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return "", "", fmt.Errorf("go env: %w", err)
	}
	root, version, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	return root, strings.TrimPrefix(version, "go"), nil
}

// list returns, for each linked package of a module, the module's path, version and folder, and the package's folder.
func list(folder, target string) (packages [][4]string, err error) {
	const format = "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}"
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
