package client

import (
	"fmt"

	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// PromptFiles divides the files of a prompt into text files and files that are sent as files.
type PromptFiles struct {
	// Files are the files that are sent as files.
	Files []*wire.File

	names, texts []string // of the text files
	size         int
}

// Add adds a file with the given content.
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

// Texts returns the content of the text files. If there are several, each begins with its name. Call it only once.
func (p *PromptFiles) Texts() []string {
	if len(p.texts) > 1 {
		for i, name := range p.names {
			p.texts[i] = fmt.Sprintf("==> %s <==\n%s", name, p.texts[i])
		}
	}
	return p.texts
}
