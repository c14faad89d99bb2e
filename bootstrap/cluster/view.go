package cluster

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Peer is a line of CLUSTER NODES: a node as another node (or itself) sees it.
type Peer struct {
	// ID is the node id of 40 hex digits.
	ID string
	// Addr is address:port; its address is empty while the node does not know
	// its own (it learns it from the first MEET that reaches it).
	Addr    string
	BusPort int
	Flags   []string
	// PrimaryID is the id of the node that this one replicates; empty for a primary.
	PrimaryID   string
	ConfigEpoch int64
	// LinkUp says whether the bus link to it is up.
	LinkUp bool
	Slots  Slots
	// Migrating and Importing are the open slots, by slot, with the other node's
	// id. A node shows them in its own line only.
	Migrating, Importing map[int]string
}

// Has says whether Redis put flag on the peer ("myself", "fail", "fail?", "handshake", "noaddr", …).
func (p Peer) Has(flag string) bool { return slices.Contains(p.Flags, flag) }

// Failing says whether the peer is thought or known to have failed.
func (p Peer) Failing() bool { return p.Has("fail") || p.Has("fail?") }

// Settled says whether the peer is a member, rather than an address that is still being met.
func (p Peer) Settled() bool { return !p.Has("handshake") }

// ParseNodes reads the reply of CLUSTER NODES. Its format is described at
// https://redis.io/docs/latest/commands/cluster-nodes/: id, address:port@bus[,hostname[,aux…]],
// flags, primary, ping-sent, pong-received, config-epoch, link-state, slots….
func ParseNodes(text string) ([]Peer, error) {
	var peers []Peer
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		p, err := parsePeer(line)
		if err != nil {
			return nil, fmt.Errorf("CLUSTER NODES: %w in line %q", err, line)
		}
		peers = append(peers, p)
	}
	return peers, nil
}

func parsePeer(line string) (Peer, error) {
	f := strings.Fields(line)
	if len(f) < 8 {
		return Peer{}, fmt.Errorf("%d fields, want at least 8", len(f))
	}
	p := Peer{ID: f[0], Flags: strings.Split(f[2], ","), LinkUp: f[7] == "connected"}
	var err error
	if p.Addr, p.BusPort, err = parseAddr(f[1]); err != nil {
		return Peer{}, err
	}
	if f[3] != "-" {
		p.PrimaryID = f[3]
	}
	if p.ConfigEpoch, err = strconv.ParseInt(f[6], 10, 64); err != nil {
		return Peer{}, fmt.Errorf("config epoch: %w", err)
	}
	var owned []Range
	for _, s := range f[8:] {
		if strings.HasPrefix(s, "[") {
			if err := p.addOpenSlot(s); err != nil {
				return Peer{}, err
			}
			continue
		}
		r, err := parseRange(s)
		if err != nil {
			return Peer{}, err
		}
		owned = append(owned, r)
	}
	p.Slots = SlotsOf(owned...)
	return p, nil
}

// parseAddr reads "10.0.0.1:6379@16379,host,aux=…"; an IPv6 address stands there without brackets.
func parseAddr(text string) (addr string, busPort int, err error) {
	text, _, _ = strings.Cut(text, ",")
	text, bus, hasBus := strings.Cut(text, "@")
	if hasBus {
		if busPort, err = strconv.Atoi(bus); err != nil {
			return "", 0, fmt.Errorf("bus port %q", bus)
		}
	}
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return "", 0, fmt.Errorf("address %q", text)
	}
	return net.JoinHostPort(text[:colon], text[colon+1:]), busPort, nil
}

// addOpenSlot reads "[77->-ID]" (migrating to ID) or "[77-<-ID]" (importing from ID).
func (p *Peer) addOpenSlot(text string) error {
	body := strings.Trim(text, "[]")
	for _, kind := range []struct {
		arrow string
		into  *map[int]string
	}{{"->-", &p.Migrating}, {"-<-", &p.Importing}} {
		number, id, ok := strings.Cut(body, kind.arrow)
		if !ok {
			continue
		}
		r, err := parseRange(number)
		if err != nil || r.First != r.Last {
			return fmt.Errorf("open slot %q", text)
		}
		if *kind.into == nil {
			*kind.into = map[int]string{}
		}
		(*kind.into)[r.First] = id
		return nil
	}
	return fmt.Errorf("open slot %q", text)
}
