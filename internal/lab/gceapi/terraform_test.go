//go:build linux

package gceapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redisfleet/terraform-provider-redis/internal/lab/gceapi"
)

// answer is what hashicorp/google reads of an answer to know how to go on.
type answer struct {
	Name, Status, SelfLink, Zone, Region, Fingerprint, LabelFingerprint, MachineType string
	Metadata, Tags                                                                   struct{ Fingerprint string }
	Error                                                                            any
}

// terraform sends a request as hashicorp/google does, and waits for the operation
// that it leads to by asking for it over and over.
func (c *cloud) terraform(method, path, body string) (got answer, text string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.ctx, method, c.endpoint+"/compute/v1/projects/lab/"+path+"?alt=json", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+gceapi.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || res.StatusCode != http.StatusOK || got.Error != nil {
		c.t.Fatalf("%s %s: %d %v: %s", method, path, res.StatusCode, err, b)
	}
	if method != http.MethodGet {
		scope, _, _ := strings.Cut(path, "/")
		if scope != "global" {
			scope = strings.Join(strings.Split(path, "/")[:2], "/")
		}
		for name := got.Name; got.Status != "DONE"; time.Sleep(20 * time.Millisecond) {
			got, text = c.terraform(http.MethodGet, scope+"/operations/"+name, "")
		}
	}
	return got, string(b)
}

// What hashicorp/google 7.45 was seen to send for a network, a subnetwork, a rule
// and an instance: made, changed in place, and deleted.
func TestCallsOfTheGoogleProvider(t *testing.T) {
	c := newCloud(t)
	const network, subnet, rule, vm = "global/networks/n", "regions/us-central1/subnetworks/n", "global/firewalls/r", "zones/us-central1-a/instances/v"
	post := func(path, body string) { t.Helper(); c.terraform(http.MethodPost, path, body) }
	shows := func(path string, fields ...string) answer {
		t.Helper()
		got, text := c.terraform(http.MethodGet, path, "")
		for _, field := range fields {
			if !strings.Contains(strings.ReplaceAll(text, " ", ""), field) {
				t.Errorf("%s does not show %s: %s", path, field, text)
			}
		}
		return got
	}

	post("global/networks", `{"autoCreateSubnetworks":false,"name":"n","networkFirewallPolicyEnforcementOrder":"AFTER_CLASSIC_FIREWALL","routingConfig":{"deleteBgpAlwaysCompareMed":false,"routingMode":"REGIONAL"}}`)
	post("regions/us-central1/subnetworks", `{"ipCidrRange":"10.128.0.0/24","logConfig":{"enable":false},"name":"n","network":"projects/lab/global/networks/n","region":"projects/lab/global/regions/us-central1"}`)
	post("global/firewalls", `{"allowed":[{"IPProtocol":"tcp","ports":["6379","16379"]}],"logConfig":{"enable":false},"name":"r","network":"projects/lab/global/networks/n","priority":1000,"sourceTags":["redis"],"targetTags":["redis"]}`)
	post("zones/us-central1-a/instances", `{"canIpForward":false,"deletionProtection":false,"disks":[{"autoDelete":true,"boot":true,"initializeParams":{"diskSizeGb":"10","sourceImage":"projects/debian-cloud/global/images/family/debian-12"},"mode":"READ_WRITE"}],"labels":{"goog-terraform-provisioned":"true"},"machineType":"projects/lab/zones/us-central1-a/machineTypes/e2-medium","metadata":{"items":[{"key":"enable-guest-attributes","value":"TRUE"}]},"name":"v","networkInterfaces":[{"accessConfigs":[{"type":"ONE_TO_ONE_NAT"}],"subnetwork":"projects/lab/regions/us-central1/subnetworks/n"}],"params":{},"scheduling":{"automaticRestart":true},"tags":{"items":["redis"]}}`)
	shows("zones/us-central1-a/disks/v", `"sizeGb":"10"`, `"sourceImage":"https://www.googleapis.com/compute/v1/projects/debian-cloud/global/images/debian-12-`)
	made := shows(vm, `"status":"RUNNING"`, `"networkIP":"10.128.0.2"`, `"natIP":"10.128.0.2"`, `"goog-terraform-provisioned":"true"`, `"selfLink":"https://www.googleapis.com/compute/v1/projects/lab/`)

	c.terraform(http.MethodPatch, network, `{"networkFirewallPolicyEnforcementOrder":"AFTER_CLASSIC_FIREWALL","routingConfig":{"deleteBgpAlwaysCompareMed":false,"routingMode":"GLOBAL"}}`)
	shows(network, `"routingMode":"GLOBAL"`)
	post(subnet+"/setPrivateIpGoogleAccess", `{"privateIpGoogleAccess":true}`)
	shows(subnet, `"privateIpGoogleAccess":true`)
	c.terraform(http.MethodPatch, rule, `{"allowed":[{"IPProtocol":"tcp","ports":["22"]}],"denied":[],"description":"","destinationRanges":[],"disabled":false,"logConfig":{"enable":false},"network":"projects/lab/global/networks/n","priority":1000,"sourceRanges":["10.128.0.1/32","10.0.0.0/8"],"sourceServiceAccounts":[],"sourceTags":[],"targetServiceAccounts":[],"targetTags":["redis"]}`)
	if _, text := c.terraform(http.MethodGet, rule, ""); strings.Contains(text, "sourceTags") {
		t.Errorf("an empty list does not replace the former one: %s", text)
	}
	shows(rule, `"sourceRanges":["10.128.0.1/32","10.0.0.0/8"]`, `"ports":["22"]`)

	post(vm+"/setMetadata", fmt.Sprintf(`{"fingerprint":%q,"items":[{"key":"enable-guest-attributes","value":"TRUE"},{"key":"k","value":"b"}]}`, made.Metadata.Fingerprint))
	post(vm+"/setTags", fmt.Sprintf(`{"fingerprint":%q,"items":["redis","t-b"]}`, made.Tags.Fingerprint))
	post(vm+"/setLabels", fmt.Sprintf(`{"labelFingerprint":%q,"labels":{"goog-terraform-provisioned":"true","l":"b"}}`, made.LabelFingerprint))
	post(vm+"/stop", "")
	post(vm+"/setMachineType", `{"machineType":"projects/lab/zones/us-central1-a/machineTypes/e2-small"}`)
	post(vm+"/start", "") // which ends although no rule lets anybody see it boot
	shows(vm, `"status":"RUNNING"`, `"l":"b"`, `{"key":"k","value":"b"}`, `"t-b"`, `zones/us-central1-a/machineTypes/e2-small"`)

	for _, path := range []string{vm, rule, subnet, network} {
		c.terraform(http.MethodDelete, path, "")
	}
	if len(c.lab.Hosts) > 0 {
		t.Errorf("%d hosts are left", len(c.lab.Hosts))
	}
}
