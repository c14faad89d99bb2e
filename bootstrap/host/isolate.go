//go:build linux

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// canIsolate refuses where a process cannot be cut off from other hosts.
func canIsolate(_ context.Context, f spec.Facts, n spec.Node) error {
	var cause string
	_, noNFT := exec.LookPath("nft")
	switch {
	case loopback(n.Address):
		cause = fmt.Sprintf("node %s announces a loopback address, so there are no other hosts to cut it off from", n.Name)
	case !f.Root:
		cause = "packet filter rules need root"
	case !f.Systemd:
		cause = "the packets that a process sends are told from others by its systemd unit, and systemd does not run here"
	case noNFT != nil:
		cause = "this host has no nft program (package nftables)"
	default:
		return nil
	}
	return &spec.Failure{Cause: cause, Advice: fmt.Sprintf("Use the fault %q, which other nodes see as the same silence.", spec.FaultPause)}
}

func isolationTable(n spec.Node) string { return fmt.Sprintf("redis_fault_%d", n.Port) }

// isolationRules drop what comes to the node's ports from other hosts and what
// the process sends to them. Its own links to other nodes start at ports that
// nobody knows, so they are told by the control group of its unit.
func isolationRules(n spec.Node, unit string) string {
	ports := fmt.Sprintf("{ %d, %d }", n.Port, n.BusPort)
	return strings.Join([]string{
		"table inet " + isolationTable(n) + " {",
		"  chain input {",
		"    type filter hook input priority -300; policy accept;",
		"    iifname != \"lo\" tcp dport " + ports + " drop",
		"  }",
		"  chain output {",
		"    type filter hook output priority -300; policy accept;",
		"    oifname != \"lo\" tcp sport " + ports + " drop",
		fmt.Sprintf("    oifname != \"lo\" meta l4proto tcp socket cgroupv2 level 2 \"system.slice/%s\" drop", unit),
		"  }",
		"}",
	}, "\n") + "\n"
}

func isolate(ctx context.Context, n spec.Node, unit string) error {
	return nft(ctx, isolationRules(n, unit))
}

// rejoin deletes the rules; there is no table left where there was none.
func rejoin(ctx context.Context, n spec.Node) error {
	table := "table inet " + isolationTable(n)
	return nft(ctx, table+" {}\ndelete "+table+"\n")
}

func nft(ctx context.Context, script string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return errors.Join(fmt.Errorf("nft: %w", err), errors.New(strings.TrimSpace(out.String())))
	}
	return nil
}
