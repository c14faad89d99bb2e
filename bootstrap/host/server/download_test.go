//go:build linux

package server

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Each of the tools fetches, says of a missing file that it is missing, and
// takes nothing from a server whose certificate it cannot verify.
func TestDownload(t *testing.T) {
	content := bytes.Repeat([]byte("redis\x00\n"), 100_000)
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != "me" || password != "s3cret" {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != `/a"b\c` {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	})
	plain, secure := httptest.NewServer(serve), httptest.NewUnstartedServer(serve)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that has to fail
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	at := func(base, path string) *url.URL {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		u.Path, u.User = path, url.UserPassword("me", "s3cret")
		return u
	}
	for _, tool := range []string{"curl", "wget"} {
		t.Run(tool, func(t *testing.T) {
			path, err := exec.LookPath(tool)
			if err != nil {
				t.Skip("needs " + tool)
			}
			only := t.TempDir()
			if err := os.Symlink(path, filepath.Join(only, tool)); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", only)
			var got bytes.Buffer
			if err := download(t.Context(), at(plain.URL, `/a"b\c`), &got); err != nil || !bytes.Equal(got.Bytes(), content) {
				t.Errorf("%d bytes, %v", got.Len(), err)
			}
			if err := download(t.Context(), at(plain.URL, "/x"), &got); err == nil || !bytes.Contains([]byte(err.Error()), []byte("404")) {
				t.Errorf("a missing file: %v", err)
			}
			got.Reset()
			if err := download(t.Context(), at(secure.URL, `/a"b\c`), &got); err == nil || got.Len() > 0 {
				t.Errorf("%d bytes from a server that nobody vouches for: %v", got.Len(), err)
			}
		})
	}
}
