package gce

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
)

// Rule is an ingress rule of a network, as far as it matters to TCP.
type Rule struct {
	Name     string
	Priority int32
	Deny     bool
	Disabled bool
	// Protocols maps "tcp", "all" and others to port ranges; none means every port.
	Protocols                      map[string][]string
	SourceRanges                   []netip.Prefix
	SourceTags, TargetTags         []string
	SourceAccounts, TargetAccounts []string
}

// Rules are the ingress rules of the instance's network that apply to it, and
// whether these are all that do: firewall policies of the organisation are not
// looked into.
func (c *Client) Rules(ctx context.Context, ref Ref) (rules []Rule, whole bool, err error) {
	api, err := c.open()
	if err != nil {
		return nil, false, err
	}
	got, err := api.GetEffectiveFirewalls(ctx, &computepb.GetEffectiveFirewallsInstanceRequest{
		Project: ref.Project, Zone: ref.Zone, Instance: ref.Name, NetworkInterface: "nic0",
	})
	if err != nil {
		return nil, false, explain(ref, "read the firewall rules of", err)
	}
	for _, f := range got.GetFirewalls() {
		if f.GetDirection() == "INGRESS" {
			rules = append(rules, ruleOf(f))
		}
	}
	return rules, len(got.GetFirewallPolicys()) == 0, nil
}

func ruleOf(f *computepb.Firewall) Rule {
	r := Rule{
		Name: f.GetName(), Priority: f.GetPriority(), Deny: len(f.GetDenied()) > 0, Disabled: f.GetDisabled(),
		Protocols: make(map[string][]string), SourceTags: f.GetSourceTags(), TargetTags: f.GetTargetTags(),
		SourceAccounts: f.GetSourceServiceAccounts(), TargetAccounts: f.GetTargetServiceAccounts(),
	}
	for _, a := range f.GetAllowed() {
		r.Protocols[strings.ToLower(a.GetIPProtocol())] = a.GetPorts()
	}
	for _, d := range f.GetDenied() {
		r.Protocols[strings.ToLower(d.GetIPProtocol())] = d.GetPorts()
	}
	for _, s := range f.GetSourceRanges() {
		if prefix, err := netip.ParsePrefix(s); err == nil {
			r.SourceRanges = append(r.SourceRanges, prefix)
		}
	}
	return r
}

// Blocked is a port that firewall rules close.
type Blocked struct {
	From, To Instance
	Port     int
	// By is the rule that denies it; empty if no rule allows it.
	By string
}

// String says what is closed, and what would open it.
func (b Blocked) String() string {
	why := "no firewall rule allows it"
	if b.By != "" {
		why = "firewall rule " + b.By + " denies it"
	}
	return fmt.Sprintf("%s (%s) cannot be reached from %s (%s) on tcp/%d: %s; an ingress rule for tcp:%d from %s would allow it",
		b.To.Address, b.To.Name, b.From.Address, b.From.Name, b.Port, why, b.Port, b.From.Address)
}

// Check says whether rules, those of to, let from reach to's port.
func Check(rules []Rule, from, to Instance, port int) (Blocked, bool) {
	ordered := slices.Clone(rules)
	slices.SortStableFunc(ordered, func(x, y Rule) int {
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), cmp.Compare(btoi(y.Deny), btoi(x.Deny)))
	})
	for _, r := range ordered {
		if r.Disabled || !r.targets(to) || !r.admits(from) || !r.covers(port) {
			continue
		}
		if r.Deny {
			return Blocked{From: from, To: to, Port: port, By: r.Name}, false
		}
		return Blocked{}, true
	}
	return Blocked{From: from, To: to, Port: port}, false
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r Rule) targets(to Instance) bool {
	if len(r.TargetTags) == 0 && len(r.TargetAccounts) == 0 {
		return true
	}
	return overlap(r.TargetTags, to.Tags) || overlap(r.TargetAccounts, to.ServiceAccounts)
}

func (r Rule) admits(from Instance) bool {
	addr, err := netip.ParseAddr(from.Address)
	inRange := err == nil && slices.ContainsFunc(r.SourceRanges, func(p netip.Prefix) bool { return p.Contains(addr) })
	// Without any source a rule is for all of them.
	none := len(r.SourceRanges)+len(r.SourceTags)+len(r.SourceAccounts) == 0
	return none || inRange || overlap(r.SourceTags, from.Tags) || overlap(r.SourceAccounts, from.ServiceAccounts)
}

func (r Rule) covers(port int) bool {
	for _, protocol := range []string{"all", "tcp", "6"} {
		ranges, ok := r.Protocols[protocol]
		if ok && (len(ranges) == 0 || slices.ContainsFunc(ranges, func(s string) bool { return inRange(s, port) })) {
			return true
		}
	}
	return false
}

// inRange says whether port is in "6379" or "16379-16389".
func inRange(s string, port int) bool {
	low, high, found := strings.Cut(s, "-")
	if !found {
		high = low
	}
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	return err1 == nil && err2 == nil && from <= port && port <= to
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}
