//go:build linux

package provider_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/acctest"
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

// The examples that watch a cluster say that it is well, and would say that it is not.
func TestAccExamplesOfChecksAndTests(t *testing.T) {
	place := acctest.NewPlace(t, 6)
	w := newWorkspace(t, place.Cluster(""))
	w.run(t, "apply", "-auto-approve")
	defer w.run(t, "destroy", "-auto-approve")
	endpoints := fmt.Sprintf(`-var=endpoints=["127.0.0.1:%d","127.0.0.1:%d"]`, place.Ports[0], place.Ports[5])
	example := func(name string) workspace {
		in := w
		in.dir = t.TempDir()
		files, err := filepath.Glob("../../examples/" + name + "/*.*")
		if err != nil || len(files) == 0 {
			t.Fatalf("no example %s: %v", name, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(filepath.Join(in.dir, filepath.Base(file)), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return in
	}
	checks := example("checks")
	if out := checks.run(t, "apply", "-auto-approve", endpoints); strings.Contains(out, "Check block assertion failed") {
		t.Errorf("a check failed:\n%s", out)
	}
	if out := checks.run(t, "plan", endpoints, "-var=replicas=2"); !strings.Contains(out, "Check block assertion failed") || !strings.Contains(out, "Without enough replicas: 127.0.0.1") {
		t.Errorf("a check that had to fail did not:\n%s", out)
	}
	tests := example("terraform-test")
	// With a provider that is overridden, what is left to initialise is nothing but the tests.
	if out := tests.run(t, "test", endpoints); !strings.Contains(out, "3 passed, 0 failed") {
		t.Errorf("the tests did not pass:\n%s", out)
	}
	out, err := tests.command(t.Context(), "test", endpoints, "-var=shards=4").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "There are 3 shards, and 4 are wanted.") {
		t.Errorf("a test that had to fail did not: %v\n%s", err, out)
	}
}
