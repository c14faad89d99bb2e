//go:build linux

package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever copies an example gets one that is valid.
func TestAccExamplesAreValid(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	nested, err := filepath.Glob("../../examples/*/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	byDir := make(map[string]string)
	for _, file := range append(files, nested...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		byDir[filepath.Dir(file)] += string(text)
	}
	if len(byDir) < 8 {
		t.Fatalf("only %d examples were found", len(byDir))
	}
	w := newWorkspace(t, "")
	for dir, config := range byDir {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if strings.Contains(config, "hashicorp/") {
				t.Skip("it needs other providers, which are not on this machine")
			}
			if !strings.Contains(config, "required_providers") {
				config = "terraform {\n  required_providers {\n    redis = { source = \"redisfleet/redis\" }\n  }\n}\n" + config
			}
			if err := os.WriteFile(filepath.Join(w.dir, "main.tf"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			w.run(t, "validate")
		})
	}
}
