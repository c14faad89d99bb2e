//go:build linux

package load

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/clustertest"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// proxy stands between load and server and knows what it does to replies.
type proxy struct {
	listener net.Listener
	server   string
	// every is how many replies come before one that is delayed; 0 delays none.
	every   atomic.Int64
	delay   time.Duration
	replies atomic.Int64
	// gate is held while no reply passes.
	gate sync.RWMutex
	mu   sync.Mutex
	took []time.Duration // of the delayed replies
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: server}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				return
			}
			go p.pass(out, in, func() {})
			go p.pass(in, out, p.reply)
		}
	}()
	return p
}

func (p *proxy) pass(to, from net.Conn, before func()) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		before()
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) reply() {
	if n := p.replies.Add(1); p.every.Load() > 0 && n%p.every.Load() == 0 {
		start := time.Now()
		time.Sleep(p.delay) // the delay that is to be measured
		p.mu.Lock()
		p.took = append(p.took, time.Since(start))
		p.mu.Unlock()
	}
	p.gate.RLock()
	p.gate.RUnlock() //nolint:staticcheck // it only waits for the gate to open
}

// hold lets no reply through for a time, and says from when until when.
func (p *proxy) hold(d time.Duration) (from, to time.Time) {
	p.gate.Lock()
	defer p.gate.Unlock()
	from = time.Now()
	time.Sleep(d)
	return from, time.Now()
}

// agrees says whether a measured time, in ms, is the true one up to 1 % or 1 ms.
func agrees(measured, truth float64) bool {
	return math.Abs(measured-truth) <= max(1, truth/100)
}

// attempts is how often a measurement may be repeated: on a busy machine the
// proxy itself is late now and then, and a wrong engine is wrong every time.
const attempts = 4

// attempt repeats measure until it finds nothing wrong.
func attempt(t *testing.T, measure func() (wrong []string)) {
	t.Helper()
	var wrong []string
	for range attempts {
		if wrong = measure(); len(wrong) == 0 {
			return
		}
		t.Log(wrong)
	}
	t.Error(wrong)
}

func TestPercentilesAreThoseOfTheProxy(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	p := newProxy(t, c.Node(0).Addr())
	p.delay = 20 * time.Millisecond
	r := request([]string{p.listener.Addr().String()}, spec.Workload{Requests: 2000, Clients: 4})
	attempt(t, func() (wrong []string) {
		p.mu.Lock()
		p.took = nil
		p.mu.Unlock()
		p.every.Store(10)
		res := run(t, r, Hooks{})
		p.every.Store(math.MaxInt64) // none from here on
		p.mu.Lock()
		took := slices.Sorted(slices.Values(p.took))
		p.mu.Unlock()
		truth := func(q float64) float64 { // of the delayed tenth
			return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000
		}
		for q, got := range map[float64]float64{0.5: res.Latency.P95, 0.9: res.Latency.P99} {
			if want := truth(q); !agrees(got, want) {
				wrong = append(wrong, fmt.Sprintf("quantile %g of the delayed: %.3f ms, by the proxy %.3f ms", q, got, want))
			}
		}
		if res.Latency.P50 > 5 {
			wrong = append(wrong, fmt.Sprintf("the median is %.3f ms, although nine in ten were not delayed", res.Latency.P50))
		}
		return wrong
	})
}

func TestOpenLoopCountsFromTheIntendedTime(t *testing.T) {
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"))
	p := newProxy(t, c.Node(0).Addr())
	// Two clients only: most commands can't even be sent while replies are held.
	for _, clients := range []int{2, 300} {
		t.Run(strconv.Itoa(clients)+" clients", func(t *testing.T) {
			attempt(t, func() []string { return holdReplies(t, p, clients) })
		})
	}
}

// holdReplies runs an open loop during which all replies are held for a while,
// and says in what its result differs from what every command must have met.
func holdReplies(t *testing.T, p *proxy, clients int) (wrong []string) {
	const rate, length = 250.0, 2.5
	var from, to time.Time
	var held sync.WaitGroup
	r := request([]string{p.listener.Addr().String()}, spec.Workload{Duration: seconds(length), Clients: clients, Threads: 2, Rate: rate, RequestTimeout: seconds(5)})
	res := run(t, r, Hooks{Started: func() {
		held.Go(func() {
			// Well into the load, between two commands, and away from the ends of seconds,
			// when the load sums up: what is under way when the hold begins is held too.
			time.Sleep(1250 * time.Millisecond)
			from, to = p.hold(400 * time.Millisecond)
		})
	}})
	held.Wait()
	var truth []float64
	outage := 0.0
	for k := range int(rate * length) {
		due := res.StartedAt.Add(time.Duration(float64(k) / rate * float64(time.Second)))
		late := 0.0
		if due.After(from) && due.Before(to) {
			late = float64(to.Sub(due).Microseconds()) / 1000
			outage = max(outage, late)
		}
		truth = append(truth, late)
	}
	slices.Sort(truth)
	for q, got := range map[float64]float64{0.9: res.Latency.P90, 0.95: res.Latency.P95, 0.99: res.Latency.P99, 1: res.Latency.Max} {
		want := truth[int(math.Ceil(q*float64(len(truth))))-1]
		// One command more or less above a quantile is a step of the schedule, and
		// the reply to the one before may be held too.
		if math.Abs(got-want) > max(1, want/100)+2*1000/rate {
			wrong = append(wrong, fmt.Sprintf("quantile %g: %.3f ms, by the proxy %.3f ms", q, got, want))
		}
	}
	if !agrees(res.UnavailableMS, outage) {
		wrong = append(wrong, fmt.Sprintf("unavailable for %.3f ms, by the proxy %.3f ms", res.UnavailableMS, outage))
	}
	if res.Operations != rate*length || res.Generator.Unsent != 0 {
		wrong = append(wrong, fmt.Sprintf("%d operations, %d unsent", res.Operations, res.Generator.Unsent))
	}
	return wrong
}

func TestALoadOverTLS(t *testing.T) {
	dir := t.TempDir()
	ca := selfSigned(t, dir)
	c := clustertest.Start(t, 1, clustertest.Directive("cluster-enabled", "no"), clustertest.Directive("tls-port", "0"),
		clustertest.Directive("tls-cert-file", filepath.Join(dir, "cert.pem")), clustertest.Directive("tls-key-file", filepath.Join(dir, "key.pem")),
		clustertest.Directive("tls-ca-cert-file", filepath.Join(dir, "cert.pem")), clustertest.Directive("tls-auth-clients", "no"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Node(0).Client().ConfigSet(t.Context(), "tls-port", strconv.Itoa(addr.Port)).Err(); err != nil {
		t.Fatal(err)
	}
	r := request([]string{addr.String()}, spec.Workload{Requests: 3000, Clients: 4, DataSize: 100_000, Sequence: spec.SequenceCycle, Keys: spec.Keys{Maximum: 10}})
	r.TLS = &spec.TLS{CACert: ca}
	res := run(t, r, Hooks{})
	if res.Operations != 3000 || len(res.Errors) > 0 {
		t.Errorf("%d operations, errors %v", res.Operations, res.Errors)
	}
}

// selfSigned writes cert.pem and key.pem of 127.0.0.1 to dir and returns the certificate.
func selfSigned(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	for name, content := range map[string][]byte{"cert.pem": text, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return string(text)
}
