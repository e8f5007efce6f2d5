package cmd

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"ferry/pkg/wire"

	"github.com/spf13/pflag"
)

// extraOptions are what else people ask of a model.
type extraOptions struct {
	temperature, topP string
	stop, params      []string
	schema            string
}

func addExtraFlags(f *pflag.FlagSet, o *extraOptions) {
	f.StringVar(&o.temperature, "temperature", "", "the sampling temperature `T`, where the node's API has one")
	f.StringVar(&o.topP, "top-p", "", "nucleus sampling with the mass `P`, where the node's API has it")
	f.StringArrayVar(&o.stop, "stop", nil, "end the answer at this `TEXT`; may be repeated")
	f.StringVar(&o.schema, "schema", "", "hold the answer to the JSON schema in `FILE`, where the node's API can; exit 1 where its top level is another")
	f.StringArrayVar(&o.params, "param", nil, "add `KEY=VALUE` to the request's body; a VALUE that is JSON goes as such")
}

// apply puts the extras into a request. What the API does not have is refused when the request is encoded.
func (o extraOptions) apply(ctx context.Context, r *wire.Request) error {
	var err error
	if r.Temperature, err = number("temperature", o.temperature); err != nil {
		return err
	}
	if r.TopP, err = number("top-p", o.topP); err != nil {
		return err
	}
	r.Stop = o.stop
	if o.schema != "" {
		if r.Schema, err = readSchema(ctx, o.schema); err != nil {
			return err
		}
	}
	for _, param := range o.params {
		key, value, ok := strings.Cut(param, "=")
		if !ok || key == "" {
			return invalid("param", param, "KEY=VALUE, such as top_k=5")
		}
		raw := json.RawMessage(value)
		if !json.Valid(raw) {
			raw, _ = json.Marshal(value) // a string always encodes
		}
		if r.Params == nil {
			r.Params = map[string]json.RawMessage{}
		}
		r.Params[key] = raw
	}
	return nil
}

func number(flag, text string) (*float64, error) {
	if text == "" {
		return nil, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value < 0 || value > 2 {
		return nil, invalid(flag, text, "a number from 0 to 2")
	}
	return &value, nil
}

// maxSchema is the most bytes of a schema file.
const maxSchema = 1 << 20

func readSchema(ctx context.Context, name string) (json.RawMessage, error) {
	schema, err := readFile(ctx, name, maxSchema)
	var object map[string]json.RawMessage
	switch {
	case err != nil:
		return nil, err
	case len(schema) > maxSchema:
		return nil, usagef("", "%s is over %d MiB", name, maxSchema>>20)
	case json.Unmarshal(schema, &object) != nil || object == nil:
		return nil, usagef("a schema is a JSON object", "%s is no JSON schema", name)
	}
	return schema, nil
}
