//go:build linux

package gceapi

import (
	"context"
	"net/http"
	"net/netip"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

type network struct{ *computepb.Network }

type subnetwork struct{ *computepb.Subnetwork }

// addDefaultNetwork makes the network that every project has, with its rules.
func (a *API) addDefaultNetwork() {
	n := &computepb.Network{Name: proto.String("default"), AutoCreateSubnetworks: proto.Bool(true)}
	a.addNetwork(n)
	a.addSubnetwork("regions/"+Region+"/subnetworks/default", &computepb.Subnetwork{
		Name: proto.String("default"), Network: n.SelfLink, IpCidrRange: proto.String("10.128.0.0/20"),
	})
	for name, rule := range map[string]*computepb.Firewall{
		"default-allow-internal": {SourceRanges: []string{"10.128.0.0/9"}, Allowed: []*computepb.Allowed{{IPProtocol: proto.String("all")}}},
		"default-allow-ssh":      {SourceRanges: []string{"0.0.0.0/0"}, Allowed: []*computepb.Allowed{{IPProtocol: proto.String("tcp"), Ports: []string{"22"}}}},
		"default-allow-icmp":     {SourceRanges: []string{"0.0.0.0/0"}, Allowed: []*computepb.Allowed{{IPProtocol: proto.String("icmp")}}},
	} {
		rule.Name, rule.Network, rule.Priority = proto.String(name), n.SelfLink, proto.Int32(65534)
		a.addFirewall(rule)
	}
}

func (a *API) addNetwork(n *computepb.Network) {
	path := "global/networks/" + n.GetName()
	n.Kind, n.Id, n.SelfLink = proto.String("compute#network"), a.id(), proto.String(link(path))
	n.CreationTimestamp = proto.String(timestamp())
	n.SelfLinkWithId = proto.String(link("global/networks/" + idString(n.Id)))
	if n.RoutingConfig == nil {
		n.RoutingConfig = &computepb.NetworkRoutingConfig{}
	}
	if n.RoutingConfig.RoutingMode == nil {
		n.RoutingConfig.RoutingMode = proto.String("REGIONAL")
	}
	if n.NetworkFirewallPolicyEnforcementOrder == nil {
		n.NetworkFirewallPolicyEnforcementOrder = proto.String("AFTER_CLASSIC_FIREWALL")
	}
	a.networks[path] = &network{n}
}

func (a *API) listNetworks(*http.Request) (proto.Message, error) {
	list := &computepb.NetworkList{Kind: proto.String("compute#networkList")}
	for _, n := range under(a.networks, "global/networks/") {
		list.Items = append(list.Items, n.Network)
	}
	return proto.Clone(list), nil
}

func (a *API) getNetwork(r *http.Request) (proto.Message, error) {
	n, err := find(a.networks, "global/networks/"+r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	answer := proto.Clone(n.Network).(*computepb.Network)
	for _, s := range under(a.subnets, "regions/") {
		if s.GetNetwork() == n.GetSelfLink() {
			answer.Subnetworks = append(answer.Subnetworks, s.GetSelfLink())
		}
	}
	return answer, nil
}

func (a *API) insertNetwork(r *http.Request) (proto.Message, error) {
	n, err := body(r, &computepb.Network{})
	if err != nil {
		return nil, err
	}
	path := "global/networks/" + n.GetName()
	if _, ok := a.networks[path]; ok {
		return nil, conflict(path)
	}
	if n.AutoCreateSubnetworks == nil {
		n.AutoCreateSubnetworks = proto.Bool(true)
	}
	a.addNetwork(n)
	if n.GetAutoCreateSubnetworks() {
		a.addSubnetwork("regions/"+Region+"/subnetworks/"+n.GetName(), &computepb.Subnetwork{
			Name: n.Name, Network: n.SelfLink, IpCidrRange: proto.String("10.128.0.0/20"),
		})
	}
	return a.begin("insert", path, n.Id, nothing), nil
}

func (a *API) patchNetwork(r *http.Request) (proto.Message, error) {
	path := "global/networks/" + r.PathValue("name")
	n, err := find(a.networks, path)
	if err != nil {
		return nil, err
	}
	change, err := body(r, &computepb.Network{})
	if err != nil {
		return nil, err
	}
	proto.Merge(n.Network, change)
	return a.begin("patch", path, n.Id, nothing), nil
}

func (a *API) deleteNetwork(r *http.Request) (proto.Message, error) {
	path := "global/networks/" + r.PathValue("name")
	n, err := find(a.networks, path)
	if err != nil {
		return nil, err
	}
	for by, s := range a.subnets {
		if s.GetNetwork() != n.GetSelfLink() {
			continue
		}
		if !n.GetAutoCreateSubnetworks() {
			return nil, inUse(path, by)
		}
		if user := a.userOf(by); user != "" {
			return nil, inUse(path, user)
		}
		delete(a.subnets, by)
	}
	for by, f := range a.firewalls {
		if f.GetNetwork() == n.GetSelfLink() {
			return nil, inUse(path, by)
		}
	}
	delete(a.networks, path)
	return a.begin("delete", path, n.Id, nothing), nil
}

func (a *API) addSubnetwork(path string, s *computepb.Subnetwork) {
	s.Kind, s.Id, s.SelfLink = proto.String("compute#subnetwork"), a.id(), proto.String(link(path))
	s.Region, s.CreationTimestamp = proto.String(link("regions/"+Region)), proto.String(timestamp())
	s.Fingerprint, s.GatewayAddress = proto.String(fingerprint()), proto.String(lab.Bridge)
	if s.PrivateIpGoogleAccess == nil {
		s.PrivateIpGoogleAccess = proto.Bool(false)
	}
	if s.StackType == nil {
		s.StackType = proto.String("IPV4_ONLY")
	}
	if s.Purpose == nil {
		s.Purpose = proto.String("PRIVATE")
	}
	if s.PrivateIpv6GoogleAccess == nil {
		s.PrivateIpv6GoogleAccess = proto.String("DISABLE_GOOGLE_ACCESS")
	}
	a.subnets[path] = &subnetwork{s}
}

func (a *API) listSubnetworks(r *http.Request) (proto.Message, error) {
	list := &computepb.SubnetworkList{Kind: proto.String("compute#subnetworkList")}
	for _, s := range under(a.subnets, subnetsPath(r)) {
		list.Items = append(list.Items, s.Subnetwork)
	}
	return proto.Clone(list), nil
}

func (a *API) getSubnetwork(r *http.Request) (proto.Message, error) {
	s, err := find(a.subnets, subnetsPath(r)+r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return proto.Clone(s.Subnetwork), nil
}

func (a *API) insertSubnetwork(r *http.Request) (proto.Message, error) {
	s, err := body(r, &computepb.Subnetwork{})
	if err != nil {
		return nil, err
	}
	path := subnetsPath(r) + s.GetName()
	if _, ok := a.subnets[path]; ok {
		return nil, conflict(path)
	}
	n, err := find(a.networks, pathOf(s.GetNetwork(), "global/networks"))
	if err != nil {
		return nil, err
	}
	if r.PathValue("region") != Region {
		return nil, notFound("regions/" + r.PathValue("region"))
	}
	// Every network of the lab is on its one bridge, with its one range.
	given, err := netip.ParsePrefix(s.GetIpCidrRange())
	if err != nil || !given.Contains(netip.MustParseAddr(lab.Bridge)) {
		return nil, invalid("Invalid value for field 'resource.ipCidrRange': '%s'. The lab has addresses of 10.128.0.0/24 only.", s.GetIpCidrRange())
	}
	s.Network = n.SelfLink
	a.addSubnetwork(path, s)
	return a.begin("insert", path, s.Id, nothing), nil
}

func (a *API) patchSubnetwork(r *http.Request) (proto.Message, error) {
	path := subnetsPath(r) + r.PathValue("name")
	s, err := find(a.subnets, path)
	if err != nil {
		return nil, err
	}
	change, err := body(r, &computepb.Subnetwork{})
	if err != nil {
		return nil, err
	}
	if change.Fingerprint != nil && change.GetFingerprint() != s.GetFingerprint() {
		return nil, staleFingerprint()
	}
	proto.Merge(s.Subnetwork, change)
	s.Fingerprint = proto.String(fingerprint())
	return a.begin("patch", path, s.Id, nothing), nil
}

func (a *API) setPrivateIPGoogleAccess(r *http.Request) (proto.Message, error) {
	path := subnetsPath(r) + r.PathValue("name")
	s, err := find(a.subnets, path)
	if err != nil {
		return nil, err
	}
	m, err := body(r, &computepb.SubnetworksSetPrivateIpGoogleAccessRequest{})
	if err != nil {
		return nil, err
	}
	s.PrivateIpGoogleAccess = proto.Bool(m.GetPrivateIpGoogleAccess())
	return a.begin("setPrivateIpGoogleAccess", path, s.Id, nothing), nil
}

func (a *API) deleteSubnetwork(r *http.Request) (proto.Message, error) {
	path := subnetsPath(r) + r.PathValue("name")
	s, err := find(a.subnets, path)
	if err != nil {
		return nil, err
	}
	if user := a.userOf(path); user != "" {
		return nil, inUse(path, user)
	}
	delete(a.subnets, path)
	return a.begin("delete", path, s.Id, nothing), nil
}

// userOf is an instance in the subnetwork; empty if there is none.
func (a *API) userOf(subnet string) string {
	for path, i := range a.instances {
		if i.NetworkInterfaces[0].GetSubnetwork() == link(subnet) {
			return path
		}
	}
	return ""
}

// nothing is the work of an operation whose effect is there already.
func nothing(context.Context) error { return nil }
