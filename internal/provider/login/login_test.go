package login_test

import (
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/login"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// ssh is a value of the attribute with these parts set.
func ssh(t *testing.T, set map[string]attr.Value) types.Object {
	t.Helper()
	object, ok := login.Attribute("hosts").GetType().(types.ObjectType)
	if !ok {
		t.Fatal("the attribute is no object")
	}
	values := make(map[string]attr.Value)
	for name, kind := range object.AttrTypes {
		null, err := kind.ValueFromTerraform(t.Context(), tftypes.NewValue(kind.TerraformType(t.Context()), nil))
		if err != nil {
			t.Fatal(err)
		}
		values[name] = null
	}
	for name, value := range set {
		values[name] = value
	}
	value, diags := types.ObjectValue(object.AttrTypes, values)
	if diags.HasError() {
		t.Fatal(diags)
	}
	return value
}

func TestFleet(t *testing.T) {
	bastion := &reach.Bastion{Host: "jump"}
	given := reach.SSHConfig{User: "root", PrivateKey: "secret", Port: 22, Bastion: bastion, ConnectTimeout: time.Minute, HostKeyPolicy: reach.HostKeyStrict}
	for name, c := range map[string]struct {
		set  map[string]attr.Value
		want func(*reach.SSHConfig)
	}{
		"nothing":    {nil, func(*reach.SSHConfig) {}},
		"user, port": {map[string]attr.Value{"user": types.StringValue("eve"), "port": types.Int64Value(2222)}, func(c *reach.SSHConfig) { c.User, c.Port = "eve", 2222 }},
		"key file":   {map[string]attr.Value{"private_key_file": types.StringValue("k")}, func(c *reach.SSHConfig) { c.PrivateKey, c.PrivateKeyFile = "", "k" }},
		"agent":      {map[string]attr.Value{"agent": types.BoolValue(true)}, func(c *reach.SSHConfig) { c.PrivateKey, c.Agent = "", true }},
		"policy, timeout": {
			map[string]attr.Value{"host_key_policy": types.StringValue("insecure"), "connect_timeout": types.StringValue("3s")},
			func(c *reach.SSHConfig) { c.HostKeyPolicy, c.ConnectTimeout = reach.HostKeyInsecure, 3*time.Second },
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fleet.Fleet{SSH: given}
			got, diags := login.Fleet(t.Context(), f, ssh(t, c.set))
			if diags.HasError() {
				t.Fatal(diags)
			}
			want := given
			c.want(&want)
			if g := got.SSH; g.User != want.User || g.Port != want.Port || g.PrivateKey != want.PrivateKey || g.PrivateKeyFile != want.PrivateKeyFile ||
				g.Agent != want.Agent || g.HostKeyPolicy != want.HostKeyPolicy || g.ConnectTimeout != want.ConnectTimeout || g.Bastion != bastion {
				t.Errorf("got %+v, want %+v", g, want)
			}
			if f.SSH.User != "root" || f.SSH.PrivateKey != "secret" {
				t.Error("the provider's own settings were changed")
			}
		})
	}
}

func TestFleetWhileUnknown(t *testing.T) {
	f := new(fleet.Fleet)
	got, diags := login.Fleet(t.Context(), f, ssh(t, map[string]attr.Value{"user": types.StringUnknown()}))
	if diags.HasError() || !got.SSHUnknown || f.SSHUnknown {
		t.Errorf("%+v, %v", got, diags)
	}
	if same, _ := login.Fleet(t.Context(), f, types.ObjectNull(nil)); same != f {
		t.Error("without the attribute the provider's settings hold")
	}
}
