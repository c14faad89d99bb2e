//go:build linux

package gceapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

type firewall struct{ *computepb.Firewall }

func (a *API) addFirewall(f *computepb.Firewall) {
	path := "global/firewalls/" + f.GetName()
	f.Kind, f.Id, f.SelfLink = proto.String("compute#firewall"), a.id(), proto.String(link(path))
	f.CreationTimestamp = proto.String(timestamp())
	if f.Direction == nil {
		f.Direction = proto.String("INGRESS")
	}
	if f.Priority == nil {
		f.Priority = proto.Int32(1000)
	}
	if f.Disabled == nil {
		f.Disabled = proto.Bool(false)
	}
	if f.LogConfig == nil {
		f.LogConfig = &computepb.FirewallLogConfig{Enable: proto.Bool(false)}
	}
	a.firewalls[path] = &firewall{f}
}

func (a *API) listFirewalls(*http.Request) (proto.Message, error) {
	list := &computepb.FirewallList{Kind: proto.String("compute#firewallList")}
	for _, f := range under(a.firewalls, "global/firewalls/") {
		list.Items = append(list.Items, f.Firewall)
	}
	return proto.Clone(list), nil
}

func (a *API) getFirewall(r *http.Request) (proto.Message, error) {
	f, err := find(a.firewalls, "global/firewalls/"+r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return proto.Clone(f.Firewall), nil
}

func (a *API) insertFirewall(r *http.Request) (proto.Message, error) {
	f, err := body(r, &computepb.Firewall{})
	if err != nil {
		return nil, err
	}
	path := "global/firewalls/" + f.GetName()
	if _, ok := a.firewalls[path]; ok {
		return nil, conflict(path)
	}
	n, err := find(a.networks, pathOf(cmp.Or(f.GetNetwork(), "default"), "global/networks"))
	if err != nil {
		return nil, err
	}
	if len(f.Allowed) == 0 == (len(f.Denied) == 0) {
		return nil, invalid("Exactly one of 'allowed' and 'denied' must be specified.")
	}
	f.Network = n.SelfLink
	if len(f.SourceRanges) == 0 && len(f.SourceTags) == 0 && f.GetDirection() != "EGRESS" {
		f.SourceRanges = []string{"0.0.0.0/0"}
	}
	a.addFirewall(f)
	return a.begin("insert", path, f.Id, a.enforce), nil
}

func (a *API) patchFirewall(r *http.Request) (proto.Message, error) {
	path := "global/firewalls/" + r.PathValue("name")
	f, err := find(a.firewalls, path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	change, err := body(r, &computepb.Firewall{})
	if err != nil {
		return nil, err
	}
	var named map[string]json.RawMessage
	if err := json.Unmarshal(text, &named); err != nil {
		return nil, invalid("Invalid JSON payload received. %v", err)
	}
	// Lists are replaced as a whole, by an empty one too.
	for name, list := range map[string]*[]string{"sourceRanges": &f.SourceRanges, "sourceTags": &f.SourceTags, "targetTags": &f.TargetTags} {
		if named[name] != nil {
			*list = nil
		}
	}
	if named["allowed"] != nil {
		f.Allowed = nil
	}
	if named["denied"] != nil {
		f.Denied = nil
	}
	network := f.Network
	proto.Merge(f.Firewall, change)
	f.Network = network
	return a.begin("patch", path, f.Id, a.enforce), nil
}

func (a *API) deleteFirewall(r *http.Request) (proto.Message, error) {
	path := "global/firewalls/" + r.PathValue("name")
	f, err := find(a.firewalls, path)
	if err != nil {
		return nil, err
	}
	delete(a.firewalls, path)
	return a.begin("delete", path, f.Id, a.enforce), nil
}

// ingress are the rules for traffic to i, first match first: by priority, and
// what denies before what allows.
func (a *API) ingress(i *instance) []*computepb.Firewall {
	var rules []*computepb.Firewall
	for _, f := range under(a.firewalls, "global/firewalls/") {
		targeted := len(f.TargetTags) == 0 || slices.ContainsFunc(f.TargetTags, i.tagged)
		if f.GetDirection() == "INGRESS" && !f.GetDisabled() && targeted && f.GetNetwork() == i.NetworkInterfaces[0].GetNetwork() {
			rules = append(rules, f.Firewall)
		}
	}
	slices.SortStableFunc(rules, func(x, y *computepb.Firewall) int {
		return cmp.Or(cmp.Compare(x.GetPriority(), y.GetPriority()), cmp.Compare(len(y.Denied), len(x.Denied)))
	})
	return rules
}

// enforce writes the rules of all instances into the lab's packet filter.
func (a *API) enforce(ctx context.Context) error {
	a.filtering.Lock()
	defer a.filtering.Unlock()
	a.mu.Lock()
	var rules []string
	for _, path := range slices.Sorted(maps.Keys(a.instances)) {
		rules = append(rules, a.filterFor(a.instances[path])...)
	}
	a.mu.Unlock()
	return a.lab.Filter(ctx, rules, rules)
}

// filterFor is what reaches i, in nftables' words. Rules are about who may begin:
// of TCP only the first packet is looked at, so that answers pass.
func (a *API) filterFor(i *instance) []string {
	to := "ip daddr " + i.NetworkInterfaces[0].GetNetworkIP() + " "
	const first = "tcp flags & (syn | ack) == syn "
	var rules []string
	for _, f := range a.ingress(i) {
		sources := slices.Clone(f.SourceRanges)
		for _, path := range slices.Sorted(maps.Keys(a.instances)) {
			if other := a.instances[path]; slices.ContainsFunc(f.SourceTags, other.tagged) {
				sources = append(sources, other.NetworkInterfaces[0].GetNetworkIP())
			}
		}
		if len(sources) == 0 {
			continue
		}
		from := "ip saddr { " + strings.Join(sources, ", ") + " } "
		if slices.Contains(sources, "0.0.0.0/0") {
			from = ""
		}
		for _, x := range f.Allowed {
			rules = append(rules, to+from+match(x.GetIPProtocol(), x.GetPorts())+"accept")
		}
		for _, x := range f.Denied {
			rules = append(rules, to+from+match(x.GetIPProtocol(), x.GetPorts())+"drop")
		}
	}
	return append(rules, to+first+"drop", to+"meta l4proto udp drop", to+"icmp type echo-request drop")
}

// match is a protocol and its ports in nftables' words.
func match(protocol string, ports []string) string {
	const first = "tcp flags & (syn | ack) == syn "
	switch protocol {
	case "all":
		return ""
	case "icmp":
		return "icmp type echo-request "
	case "tcp", "6":
		if len(ports) == 0 {
			return first
		}
		return fmt.Sprintf("%stcp dport { %s } ", first, strings.Join(ports, ", "))
	case "udp", "17":
		if len(ports) > 0 {
			return fmt.Sprintf("udp dport { %s } ", strings.Join(ports, ", "))
		}
	}
	return "meta l4proto " + protocol + " "
}
