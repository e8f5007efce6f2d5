package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// bill is a bill of materials in the form of CycloneDX 1.6.
type bill struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp,omitempty"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	PURL       string     `json:"purl"`
	Licenses   []licensed `json:"licenses"`
	Properties []property `json:"properties,omitempty"`
}

// licensed has the SPDX identifier of a license: {"license": {"id": "MIT"}}.
type licensed map[string]map[string]string

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn,omitempty"`
}

// billOf returns the bill of one version. The same modules give the same bill.
func billOf(version, date string, modules []module) ([]byte, error) {
	ferry := part("application", "ferry", version, "MIT", nil)
	b := bill{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: metadata{Component: ferry}}
	if date != "" {
		moment, err := time.Parse(time.RFC3339, date)
		if err != nil {
			return nil, err
		}
		b.Metadata.Timestamp = moment.UTC().Format(time.RFC3339)
	}
	sum := sha256.New()
	fmt.Fprintln(sum, ferry.PURL)
	on := dependency{Ref: ferry.Ref}
	for _, m := range modules {
		name := m.path
		if name == goItself {
			name = "std"
		}
		c := part("library", name, m.version, m.license, m.targets)
		fmt.Fprintln(sum, c.PURL)
		b.Components, on.On = append(b.Components, c), append(on.On, c.Ref)
	}
	slices.Sort(on.On)
	b.Dependencies = []dependency{on}
	id := sum.Sum(nil)[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // a UUID of version 8 (RFC 9562)
	b.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}

func part(kind, name, version, license string, targets []string) component {
	ref := "pkg:golang/" + name + "@" + version
	c := component{Type: kind, Ref: ref, Name: name, Version: version, PURL: ref}
	c.Licenses = []licensed{{"license": {"id": license}}}
	if targets != nil {
		c.Properties = []property{{"ferry:targets", strings.Join(targets, " ")}}
	}
	return c
}
