package embedded_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/redisfleet/terraform-provider-redis/internal/embedded"
)

func TestMissingBuildSaysHowToGetOne(t *testing.T) {
	_, err := embedded.From(fstest.MapFS{}).For("arm64")
	var missing *embedded.MissingError
	if !errors.As(err, &missing) || !bytes.Contains([]byte(err.Error()), []byte("make build")) {
		t.Fatalf("error %v names no way out", err)
	}
}

func TestBuildIsUnpackedAndHashed(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte("a program"))
	_ = w.Close()
	builds := embedded.From(fstest.MapFS{"builds/redis-bootstrap-linux-amd64.gz": {Data: packed.Bytes()}})
	build, err := builds.For("amd64")
	if err != nil {
		t.Fatal(err)
	}
	// The output of: printf 'a program' | sha256sum
	if want := "d69ea8cda2433733c1ce02de65da8f48e6a3dbba6bb18876a2062908e54ef7cb"; build.SHA256 != want {
		t.Errorf("hash %s, want %s", build.SHA256, want)
	}
	var unpacked bytes.Buffer
	if err := build.Unpack(&unpacked); err != nil || unpacked.String() != "a program" {
		t.Fatalf("unpacked %q, %v", &unpacked, err)
	}
}

func TestDamagedBuildIsRefused(t *testing.T) {
	builds := embedded.From(fstest.MapFS{"builds/redis-bootstrap-linux-amd64.gz": {Data: []byte("no gzip")}})
	if _, err := builds.For("amd64"); err == nil {
		t.Fatal("a damaged build was taken")
	}
}
