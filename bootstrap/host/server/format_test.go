//go:build linux

package server_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/host/server"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

func TestFormatInReadsTheHeadOfDataFiles(t *testing.T) {
	for text, want := range map[string]server.Format{
		"REDIS0011\xfa\x09":         "REDIS0011",
		"VALKEY080\xfa\x09":         "VALKEY080",
		"REDIS":                     "",
		"*2\r\n$6\r\nSELECT\r\n":    "",
		"REDIS is no data, by far.": "",
	} {
		file := filepath.Join(t.TempDir(), "dump.rdb")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := server.FormatIn(file); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
	if got, err := server.FormatIn(filepath.Join(t.TempDir(), "none")); err != nil || got != "" {
		t.Errorf("no file is %q, %v", got, err)
	}
}

func TestFormatReadByOfReleasedVersions(t *testing.T) {
	for _, test := range []struct {
		format       server.Format
		flavor       spec.Flavor
		version      server.Version
		reads, known bool
	}{
		{server.FormatOf(10), spec.FlavorRedis, server.Version{7, 0, 15}, true, true},
		{server.FormatOf(11), spec.FlavorRedis, server.Version{7, 0, 15}, false, true},
		{server.FormatOf(12), spec.FlavorRedis, server.Version{8, 0, 2}, true, true},
		{server.FormatOf(12), spec.FlavorRedis, server.Version{8, 2, 0}, false, false},
		{server.FormatOf(10), spec.FlavorRedis, server.Version{6, 2, 0}, false, true},
		{server.FormatOf(11), spec.FlavorValkey, server.Version{8, 1, 1}, true, true},
		{server.FormatOf(12), spec.FlavorValkey, server.Version{8, 1, 1}, false, true},
		{server.FormatOf(12), spec.FlavorValkey, server.Version{9, 1, 2}, false, true},
		{server.FormatOf(80), spec.FlavorValkey, server.Version{9, 1, 2}, true, true},
		{server.FormatOf(80), spec.FlavorValkey, server.Version{8, 1, 1}, false, true},
		{server.FormatOf(80), spec.FlavorValkey, server.Version{}, false, false},
	} {
		reads, known := test.format.ReadBy(test.flavor, test.version)
		if known != test.known || known && reads != test.reads {
			t.Errorf("%s %s reads %s: %v (known %v)", test.flavor, test.version, test.format, reads, known)
		}
	}
}

func TestReadsAsksTheProgramItself(t *testing.T) {
	p, err := server.Installed(t.Context(), spec.FlavorRedis)
	if err != nil {
		t.Fatal(err)
	}
	if p.Binary == "" {
		t.Skip("needs redis-server")
	}
	for format, want := range map[server.Format]bool{server.FormatOf(9): true, server.FormatOf(79): false} {
		if got, err := p.Reads(t.Context(), format); err != nil || got != want {
			t.Errorf("%s reads %s: %v, %v", p.Version, format, got, err)
		}
	}
}
