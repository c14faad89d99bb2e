//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestHostCommandsFailInWords(t *testing.T) {
	for _, tt := range []struct {
		command, stdin, want string
	}{
		{"apply", ``, "no request"},
		{"apply", `{"spec_version": 0}`, "spec version"},
		{"apply", `{"spec_version": 1, "nonsense": true}`, "nonsense"},
		{"apply", `{"spec_version": 1, "base_dir": "relative", "host_name": "h"}`, "absolute"},
		{"inspect", `{"spec_version": 1, "base_dir": "relative"}`, "absolute"},
		{"remove", `{"spec_version": 1, "base_dir": "/", "cluster": "etc"}`, "base_dir"},
		{"credentials", `{"spec_version": 1, "base_dir": "/nonexistent", "cluster": "c", "port": 1}`, "/nonexistent/c/1/redis.conf"},
		{"fault", `{"spec_version": 1, "base_dir": "/nonexistent", "cluster": "c", "kind": "stop", "node": {"name": "n"}}`, "does not run"},
	} {
		root := newRootCommand()
		var stdout, stderr bytes.Buffer
		root.SetArgs([]string{"host", tt.command})
		root.SetIn(strings.NewReader(tt.stdin))
		root.SetOut(&stdout)
		root.SetErr(&stderr)
		err := root.ExecuteContext(t.Context())
		var code exitCode
		var result struct {
			Failure *spec.Failure `json:"failure"`
		}
		if !errors.As(err, &code) || json.Unmarshal(stdout.Bytes(), &result) != nil || result.Failure == nil || !strings.Contains(result.Failure.Cause, tt.want) {
			t.Errorf("%s of %s: %v, %s; want %q", tt.command, tt.stdin, err, stdout.String(), tt.want)
		}
	}
}
