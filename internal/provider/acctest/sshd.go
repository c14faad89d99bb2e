package acctest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest/freeport"
)

// SSHServer is OpenSSH's server for this machine, on a port of its own.
type SSHServer struct {
	Port int
	// HostKey is its key as in known_hosts; KeyFile is a private key that it admits root with.
	HostKey, KeyFile string
}

// NewSSHServer starts a server that ends with the test. Hosts are worked on as
// root, so that the test needs to be root too.
func NewSSHServer(t *testing.T) SSHServer {
	t.Helper()
	if os.Getenv("TF_ACC") == "" {
		t.Skip("acceptance tests run with TF_ACC=1")
	}
	if os.Geteuid() != 0 {
		t.Skip("a host that is reached over SSH is worked on as root, and this user is not")
	}
	const daemon = "/usr/sbin/sshd"
	if _, err := os.Stat(daemon); err != nil {
		t.Skip("there is no sshd on this machine (Debian: openssh-server)")
	}
	// The server wants a directory for its unprivileged half. It stays: servers of
	// other tests, and the distribution's own, want it too.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { //nolint:gosec // G301: as the distribution makes it.
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := SSHServer{Port: freeport.New(t), KeyFile: filepath.Join(dir, "key")}
	s.HostKey = newKey(t, filepath.Join(dir, "host"))
	admitted := newKey(t, s.KeyFile)
	config := fmt.Sprintf(`Port %d
ListenAddress 127.0.0.1
HostKey %[2]s/host
AuthorizedKeysFile %[2]s/admitted
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
`, s.Port, dir)
	for name, text := range map[string]string{"config": config, "admitted": admitted + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := exec.Command(daemon, "-D", "-e", "-f", filepath.Join(dir, "config")) //nolint:gosec,noctx // It has to outlive the test's context, for the destroy at its end.
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not come up: %v", err)
		}
	}
}

// newKey writes a private key to file and gives the public one.
func newKey(t *testing.T, file string) (public string) {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// Provider writes the provider block for hosts behind s, at another port if port is not 0.
func (s SSHServer) Provider(port int) string {
	if port == 0 {
		port = s.Port
	}
	return fmt.Sprintf(`
provider "redis" {
  ssh = {
    user             = "root"
    private_key_file = %q
    port             = %d
    connect_timeout  = "3s"
  }
}
`, s.KeyFile, port)
}
