package client

import (
	"fmt"

	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// PromptFiles parts the files of a prompt into texts and those that go as files.
type PromptFiles struct {
	// Files are those that go as files.
	Files []*wire.File

	names, texts []string // of the texts
	size         int
}

// Add adds a file with its content.
func (p *PromptFiles) Add(name string, content []byte) error {
	if p.size += len(content); p.size > wire.MaxRequest {
		return text.Errorf("that is the limit of a request", "the files are over %d MiB", wire.MaxRequest>>20)
	}
	file, err := wire.NewFile(name, content)
	switch {
	case err != nil:
		return err
	case file != nil:
		p.Files = append(p.Files, file)
		return nil
	}
	p.names, p.texts = append(p.names, name), append(p.texts, string(content))
	return text.Check(content, name)
}

// Texts are the texts, under their names where there are several.
func (p *PromptFiles) Texts() []string {
	if len(p.texts) > 1 {
		for i, name := range p.names {
			p.texts[i] = fmt.Sprintf("==> %s <==\n%s", name, p.texts[i])
		}
	}
	return p.texts
}
