package cluster

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestProgressSaysWhatIsDoneAndLeft(t *testing.T) {
	var said bytes.Buffer
	log := hclog.New(&hclog.LoggerOptions{Output: &said})
	var p progress
	p.begin(400, 8e6)
	p.began = time.Now().Add(-10 * time.Second)
	p.addKeys(1500, 2e6)
	p.add(log, 100)
	p.addKeys(4500, 6.1e6)
	p.add(log, 300)
	for _, want := range []string{
		"moved 100 of 400 slots (1,500 keys, 2.0 MB of about 8.0 MB), 30s left: ",
		"moved 400 of 400 slots (6,000 keys, 8.1 MB): ",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is not in\n%s", want, &said)
		}
	}
}
