// Package login is the ssh attribute of resources: how to log in to their own
// hosts, where that is another way than the provider's.
package login

import (
	"cmp"
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/duration"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/known"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// model is the attribute in Terraform's types. It has no private_key: a refresh
// and a destroy need it too, and so it would have to be in the state.
type model struct {
	User           types.String `tfsdk:"user"`
	PrivateKeyFile types.String `tfsdk:"private_key_file"`
	Agent          types.Bool   `tfsdk:"agent"`
	Port           types.Int64  `tfsdk:"port"`
	KnownHostsFile types.String `tfsdk:"known_hosts_file"`
	HostKeyPolicy  types.String `tfsdk:"host_key_policy"`
	ConnectTimeout types.String `tfsdk:"connect_timeout"`
	Bastion        types.Object `tfsdk:"bastion"`
}

type bastionModel struct {
	Host    types.String `tfsdk:"host"`
	Port    types.Int64  `tfsdk:"port"`
	User    types.String `tfsdk:"user"`
	HostKey types.String `tfsdk:"host_key"`
}

// Attribute is the attribute for the hosts that whose says.
func Attribute(whose string) schema.Attribute {
	port := []validator.Int64{int64validator.Between(1, 65535)}
	text := func(description string) schema.Attribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
	}
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "How to log in to " + whose + ", where that is another way than the provider's `ssh`: what is set here goes before it, what is not is taken from it. " +
			"A key that is given inline belongs into the provider's `ssh`, which is never in the state.",
		Attributes: map[string]schema.Attribute{
			"user":             text("User to log in as."),
			"private_key_file": text("Path of the private key. It goes before every key of the provider's `ssh`."),
			"agent":            schema.BoolAttribute{Optional: true, MarkdownDescription: "Asks the agent at `SSH_AUTH_SOCK`, in place of the provider's keys unless `private_key_file` is set too."},
			"port":             schema.Int64Attribute{Optional: true, MarkdownDescription: "Port of the SSH servers.", Validators: port},
			"known_hosts_file": text("File of known host keys."),
			"host_key_policy": schema.StringAttribute{
				Optional: true, MarkdownDescription: "`strict`, `accept-new` or `insecure`, as in the provider's `ssh`.",
				Validators: []validator.String{stringvalidator.OneOf(string(reach.HostKeyStrict), string(reach.HostKeyAcceptNew), string(reach.HostKeyInsecure))},
			},
			"connect_timeout": schema.StringAttribute{Optional: true, MarkdownDescription: "How long a host may take to let us in, such as `30s`.", Validators: []validator.String{duration.Validator{}}},
			"bastion": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Host that all connections go through.",
				Attributes: map[string]schema.Attribute{
					"host":     schema.StringAttribute{Required: true, MarkdownDescription: "Name or address."},
					"port":     schema.Int64Attribute{Optional: true, MarkdownDescription: "Defaults to `port`.", Validators: port},
					"user":     text("Defaults to `user`."),
					"host_key": text("Its host key; without it known_hosts has to know it."),
				},
			},
		},
	}
}

// Fleet is f with what ssh, the attribute's value, sets otherwise. While ssh is
// not known, no host can be reached.
func Fleet(ctx context.Context, f *fleet.Fleet, ssh types.Object) (*fleet.Fleet, diag.Diagnostics) {
	if f == nil || ssh.IsNull() {
		return f, nil
	}
	other := *f
	if !known.Wholly(ssh) {
		other.SSHUnknown = true
		return &other, nil
	}
	var m model
	diags := ssh.As(ctx, &m, basetypes.ObjectAsOptions{})
	if !m.Bastion.IsNull() {
		var more diag.Diagnostics
		other.SSH.Bastion, more = Bastion(ctx, m.Bastion)
		diags.Append(more...)
	}
	other.SSH = m.over(other.SSH)
	return &other, diags
}

// Bastion is what bastion says, an object with a bastion's attributes; nil if it is null.
func Bastion(ctx context.Context, bastion types.Object) (*reach.Bastion, diag.Diagnostics) {
	if bastion.IsNull() {
		return nil, nil
	}
	var b bastionModel
	diags := bastion.As(ctx, &b, basetypes.ObjectAsOptions{})
	return &reach.Bastion{Host: b.Host.ValueString(), Port: int(b.Port.ValueInt64()), User: b.User.ValueString(), HostKey: b.HostKey.ValueString()}, diags
}

// over is c with what m sets.
func (m model) over(c reach.SSHConfig) reach.SSHConfig {
	if !m.PrivateKeyFile.IsNull() || m.Agent.ValueBool() {
		c.PrivateKey, c.PrivateKeyFile, c.Agent = "", m.PrivateKeyFile.ValueString(), m.Agent.ValueBool()
	} else if !m.Agent.IsNull() {
		c.Agent = false
	}
	c.User = cmp.Or(m.User.ValueString(), c.User)
	c.Port = cmp.Or(int(m.Port.ValueInt64()), c.Port)
	c.KnownHostsFile = cmp.Or(m.KnownHostsFile.ValueString(), c.KnownHostsFile)
	c.HostKeyPolicy = cmp.Or(reach.HostKeyPolicy(m.HostKeyPolicy.ValueString()), c.HostKeyPolicy)
	c.ConnectTimeout = cmp.Or(duration.Of(m.ConnectTimeout).D(), c.ConnectTimeout)
	return c
}
