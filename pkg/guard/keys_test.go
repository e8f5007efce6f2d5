package guard

import (
	"strings"
	"testing"
)

// mixed returns n characters that contain no words.
func mixed(n int) string { return strings.Repeat("a1B2c3D4", n/8+1)[:n] }

// realKeys have the lengths of real keys. They are built here, so that secret scanners do not report this file.
var realKeys = []string{
	"sk-" + mixed(48), "sk-proj-" + mixed(60) + "_" + mixed(60), "sk-" + strings.Repeat("0a", 16), "sk-or-v1-" + strings.Repeat("0f", 32),
	"sk-ant-api03-" + mixed(80) + "-" + mixed(12), "sk-ant-admin01-" + mixed(80), "gsk_" + mixed(52), "xai-" + mixed(80), "nvapi-" + mixed(64),
	"LTAI5t" + mixed(18), "AKID" + mixed(32), "AKLT" + mixed(40), "ALTAK-" + mixed(21), "pplx-" + mixed(48), "r8_" + mixed(37), "sk_test_" + mixed(24),
	"sk_live_" + mixed(24), "rk_live_" + mixed(24), "rk_test_" + mixed(24), "ghp_" + mixed(36), "gho_" + mixed(36), "ghs_" + mixed(36),
	"github_pat_11" + mixed(20) + "_" + mixed(59), "hf_" + strings.Repeat("aBcDeFgHiJkLmNoPq", 2), "AIza" + "Sy" + mixed(33), "AKIA" + "IOSFODNN7EXAMPLE",
	"ASIA" + "ABCDEFGHIJKLMNOP", "glpat-" + mixed(20), "xoxb-" + "123456789012-1234567890123-" + mixed(24), "xoxp-" + "1234-5678-abc", "xapp-1-" + mixed(60),
	"eyJ" + "hbGciOiJub25lIn0.eyJ" + "zdWIiOiIxIn0.c2ln", "bce-v3/ALTAK-" + mixed(21) + "/" + mixed(40), "csk-" + mixed(48), "fw_" + mixed(24),
	"tgp_v1_" + mixed(43), "jina_" + mixed(60), "ya29." + mixed(60), "GOCSPX-" + mixed(28), "npm_" + mixed(36), "dop_v1_" + strings.Repeat("0a", 32),
	"ABSK" + mixed(100), "Bearer " + mixed(40), "Basic " + "dXNlcjpodW50ZXIy", "-----BEGIN " + "PRIVATE KEY-----",
}

// harmless are values that people put in a configuration.
var harmless = []string{
	"", "claude-haiku-5-5", "claude-opus-5-5", "gpt-6-luna", "qwen3.6-flash", "Qwen/Qwen3.5-4B", "doubao-seed-1-6-flash-250828", "openai/gpt-oss-20b",
	"ernie-4.5-turbo-32k", "anthropic.claude-haiku-5-5", "hf_hub_mirror_for_frankfurt.jsonl", "npm_config_registry_mirror_url", "sk-learn models and others",
	"sk-learn-models-and-other-names", "sk-learn-models-2026", "https://sk-bratislava-01.example.com/v1", "https://sk-node2-kosice-region1.example.com",
	"task-force-of-twenty-letters-1", "risk-assessment-2026-for-everyone", "https://task-1234567890abcdefghijk.example", "disk-usage-0123456789",
	"in prose, sk- begins a key of many providers", "keys begin with sk-ant- or sk-", "AKIA", "LTAI", "AIza", "eyJx.y.z", "ghp_short", "xai-models-in-region-2026",
	"pplx-online-models-of-2026-11", "jina_embeddings_v3_base_2026", "https://h.example.com:8443/api?version=2026-10-21", "org-0123456789abcdef",
	"proj_0123456789abcdef", "550e8400-e29b-41d4-a716-446655440000", "香港代理节点", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	"env:ANTHROPIC_API_KEY", "file:~/.config/ferry/legacy.key", "cmd:pass show qianfan", "keyring:hongkong", "/etc/ferry/keys/sk_test_environment.key",
	"Basic access for the team", "basic plan: 50 requests", "Bearer of the budget", "the bearer certificate1", "socks5h://proxy.example.com:1080", "user@example.com",
	"eu-central-1", "hvs.example.com", "200000 tokens/day", "50/min burst 5", "sess-affinity-by-cookie-2026",
}

func TestLooksLikeKey(t *testing.T) {
	for _, key := range realKeys {
		isPEM := strings.HasPrefix(key, "-----")
		for _, text := range []string{key, "a label " + key + ", they said", "https://h/" + key, "https://h?x=" + key, "[\"" + key + "\"]", "my_" + key} {
			errorIf(t, !LooksLikeKey(text), "%q is not taken for a key", text)
			hidden := HideKeys(text)
			errorIf(t, !isPEM && (strings.Contains(hidden, key[len(key)-8:]) || !strings.Contains(hidden, "***")),
				"%q is listed as %q", text, hidden)
		}
		var r Redactor
		got := r.String(key + "\n")
		errorIf(t, !isPEM && got == key+"\n", "%q is not redacted", key)
	}
	for _, text := range harmless {
		errorIf(t, LooksLikeKey(text), "%q is taken for a key", text)
	}
}

// TestKeyShapesInStep checks that every reader of the table finds each row, and that no key of a row is shorter than
// ShortestKey. A word with a key's prefix must not be redacted if it is too short or lacks a required digit.
func TestKeyShapesInStep(t *testing.T) {
	errorIf(t, !LooksLikeKey("Basic Og") || LooksLikeKey("Basic O"),
		`"Basic Og" is not the shortest key that is taken for one`)
	for _, shape := range keyShapes {
		errorIf(t, len(shape.prefix)+shape.minLength < ShortestKey,
			"%s: its keys can be shorter than %d bytes", shape.prefix, ShortestKey)
		for _, key := range []string{shape.prefix + mixed(shape.minLength+16), shape.prefix + strings.Repeat("a1", shape.minLength/2+1)} {
			equal(t, "hidden "+key, HideKeys("x "+key+" y"), "x *** y")
			equal(t, "redacted "+key, redactShapes("("+key+")"), "("+redacted+")")
		}
		key := shape.prefix + mixed(shape.minLength+16)
		errorIf(t, !LooksLikeKey(key), "%s is not taken for a key", key)
		short, word := "("+shape.prefix+"1)", "("+shape.prefix+strings.Repeat("a", 60)+")"
		equal(t, "a short one", redactShapes(short), short)
		if shape.needsDigit {
			equal(t, "a word", redactShapes(word), word)
		}
	}
}

func TestHideKeys(t *testing.T) {
	one, two := "sk-"+mixed(20), "hf_"+mixed(30)
	for text, want := range map[string]string{
		"": "", "plain": "plain", one: "***", "a " + one + ", b " + two + ".": "a ***, b ***.", one + one: "***", "x" + one: "x" + one,
		"Bearer " + mixed(30): "Bearer ***", "https://h/" + one + "/v1": "https://h/***/v1", one + "/" + two: "***/***",
	} {
		equal(t, text, HideKeys(text), want)
	}
}
