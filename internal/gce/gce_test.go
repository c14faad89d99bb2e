package gce_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/redisfleet/terraform-provider-redis/internal/gce"
)

func TestParseRef(t *testing.T) {
	want := gce.Ref{Project: "p", Zone: "us-central1-a", Name: "vm"}
	for _, link := range []string{
		"https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a/instances/vm",
		"https://compute.example.com/compute/beta/projects/p/zones/us-central1-a/instances/vm",
		"projects/p/zones/us-central1-a/instances/vm",
		"zones/us-central1-a/instances/vm",
	} {
		if got, err := gce.ParseRef(link, "p"); err != nil || got != want {
			t.Errorf("%s is %+v, %v", link, got, err)
		}
	}
	for _, link := range []string{"", "vm", "projects/p/zones/z/disks/vm", "projects/p/zones//instances/vm", "projects/p/zones/z/instances/vm/x"} {
		if got, err := gce.ParseRef(link, "p"); err == nil || !strings.Contains(err.Error(), "self_link") {
			t.Errorf("%q is %+v, %v", link, got, err)
		}
	}
	if _, err := gce.ParseRef("zones/z/instances/vm", ""); err == nil {
		t.Error("an instance without a project")
	}
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{
		"GOOGLE_CREDENTIALS": "key.json", "GCLOUD_KEYFILE_JSON": "other.json",
		"GOOGLE_CLOUD_PROJECT": "second", "GCLOUD_PROJECT": "third",
		"GOOGLE_COMPUTE_CUSTOM_ENDPOINT": "http://10.128.0.1:8080/compute/v1/", "USER_PROJECT_OVERRIDE": "true",
	}
	got := gce.Config{BillingProject: "mine"}.Environment(func(name string) string { return env[name] })
	want := gce.Config{
		Credentials: "key.json", Project: "second", BillingProject: "mine", UserProjectOverride: true,
		ComputeCustomEndpoint: "http://10.128.0.1:8080/compute/v1/",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	env["GOOGLE_OAUTH_ACCESS_TOKEN"] = "token"
	if got := (gce.Config{Credentials: "given"}).Environment(func(name string) string { return env[name] }); got.AccessToken != "" || got.Credentials != "given" {
		t.Errorf("credentials that were given lose against the environment: %+v", got)
	}
}

func TestCheck(t *testing.T) {
	from := gce.Instance{Ref: gce.Ref{Name: "a"}, Address: "10.128.0.2", Tags: []string{"redis"}, ServiceAccounts: []string{"a@p"}}
	to := gce.Instance{Ref: gce.Ref{Name: "b"}, Address: "10.128.0.3", Tags: []string{"redis", "b"}, ServiceAccounts: []string{"b@p"}}
	tcp := func(ports ...string) map[string][]string { return map[string][]string{"tcp": ports} }
	inside := []netip.Prefix{netip.MustParsePrefix("10.128.0.0/9")}
	for name, c := range map[string]struct {
		rules []gce.Rule
		open  bool
		says  string
	}{
		"no rule":              {nil, false, "no firewall rule allows it"},
		"range and port":       {[]gce.Rule{{Protocols: tcp("16379-16389"), SourceRanges: inside}}, true, ""},
		"all protocols":        {[]gce.Rule{{Protocols: map[string][]string{"all": nil}, SourceRanges: inside}}, true, ""},
		"by number":            {[]gce.Rule{{Protocols: map[string][]string{"6": nil}, SourceRanges: inside}}, true, ""},
		"another port":         {[]gce.Rule{{Protocols: tcp("6379"), SourceRanges: inside}}, false, ""},
		"another protocol":     {[]gce.Rule{{Protocols: map[string][]string{"udp": nil}, SourceRanges: inside}}, false, ""},
		"another range":        {[]gce.Rule{{Protocols: tcp(), SourceRanges: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}}}, false, ""},
		"tags":                 {[]gce.Rule{{Protocols: tcp(), SourceTags: []string{"redis"}, TargetTags: []string{"b"}}}, true, ""},
		"tag it does not bear": {[]gce.Rule{{Protocols: tcp(), SourceRanges: inside, TargetTags: []string{"c"}}}, false, ""},
		"accounts":             {[]gce.Rule{{Protocols: tcp(), SourceAccounts: []string{"a@p"}, TargetAccounts: []string{"b@p"}}}, true, ""},
		"disabled":             {[]gce.Rule{{Protocols: tcp(), SourceRanges: inside, Disabled: true}}, false, ""},
		"denied first": {[]gce.Rule{
			{Name: "yes", Priority: 1000, Protocols: tcp(), SourceRanges: inside},
			{Name: "no-bus", Priority: 100, Deny: true, Protocols: tcp("16379"), SourceRanges: inside},
		}, false, "firewall rule no-bus denies it"},
		"denied at the same priority": {[]gce.Rule{
			{Name: "yes", Priority: 1000, Protocols: tcp(), SourceRanges: inside},
			{Name: "no", Priority: 1000, Deny: true, Protocols: tcp(), SourceRanges: inside},
		}, false, "rule no denies"},
		"allowed first": {[]gce.Rule{
			{Priority: 1000, Deny: true, Protocols: tcp(), SourceRanges: inside},
			{Priority: 10, Protocols: tcp("16379"), SourceRanges: inside},
		}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			blocked, open := gce.Check(c.rules, from, to, 16379)
			if open != c.open {
				t.Fatalf("open is %v", open)
			}
			if !open && (!strings.Contains(blocked.String(), c.says) || !strings.Contains(blocked.String(), "10.128.0.3 (b) cannot be reached from 10.128.0.2 (a) on tcp/16379")) {
				t.Errorf("it says %q", blocked)
			}
		})
	}
}
