package client

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// ReadFiles reads the files of a prompt and parts the texts from those that go as files. Several texts stand under their names.
func ReadFiles(names []string, read func(name string) ([]byte, error)) (texts []string, files []*wire.File, err error) {
	var textNames []string
	size := 0
	for _, name := range names {
		content, err := read(name)
		if err != nil {
			return nil, nil, err
		}
		if size += len(content); size > wire.MaxRequest {
			return nil, nil, text.Errorf("that is the limit of a request", "the files are over %d MiB", wire.MaxRequest>>20)
		}
		file, err := wire.NewFile(name, content)
		switch {
		case err != nil:
			return nil, nil, err
		case file != nil:
			files = append(files, file)
			continue
		}
		if err := CheckText(content, name); err != nil {
			return nil, nil, err
		}
		texts, textNames = append(texts, string(content)), append(textNames, name)
	}
	if len(texts) > 1 {
		for i, name := range textNames {
			texts[i] = fmt.Sprintf("==> %s <==\n%s", name, texts[i])
		}
	}
	return texts, files, nil
}

// CheckText refuses what is no text, by the offset of the first byte that is not.
func CheckText(given []byte, where string) error {
	if utf8.Valid(given) && bytes.IndexByte(given, 0) < 0 {
		return nil
	}
	if bytes.HasPrefix(given, []byte("\xff\xfe")) || bytes.HasPrefix(given, []byte("\xfe\xff")) {
		return text.Errorf("write it as UTF-8; in PowerShell: … | Set-Content -Encoding utf8 FILE, and for pipes $OutputEncoding = [Text.UTF8Encoding]::new()",
			"%s is UTF-16, as > of Windows PowerShell writes it", where)
	}
	for i, r := range string(given) {
		switch {
		case r == 0:
			return text.Errorf("a prompt is text; is this a binary file?", "%s has a NUL byte at offset %d", where, i)
		case r == utf8.RuneError && !bytes.HasPrefix(given[i:], []byte(string(utf8.RuneError))):
			return text.Errorf("a prompt is UTF-8 text; iconv converts other encodings", "%s is not UTF-8 at offset %d", where, i)
		}
	}
	return nil
}

// fileDescription is a file of a prompt in the JSON form of a call.
type fileDescription struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Bytes int    `json:"bytes"`
}

func describeFiles(files []*wire.File) []fileDescription {
	var out []fileDescription
	for _, f := range files {
		out = append(out, fileDescription{f.Name, f.Type, len(f.Data)})
	}
	return out
}
