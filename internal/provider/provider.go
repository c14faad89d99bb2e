// Package provider is the Terraform provider: its configuration, and the list
// of what it offers.
package provider

import (
	"cmp"
	"context"
	"os"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/embedded"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/gce"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/cluster"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/duration"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/functions"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/loadtest"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/login"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// progressEnv names the progress file where the configuration does not.
const progressEnv = "REDIS_PROGRESS_FILE"

// Provider is redisfleet/redis.
type Provider struct{ version string }

// New gives the provider's factory.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &Provider{version: version} }
}

var _ provider.ProviderWithFunctions = (*Provider)(nil)

// Metadata implements provider.Provider.
func (p *Provider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "redis", p.version
}

// Schema implements provider.Provider.
func (p *Provider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Forms Redis Clusters on machines that you have, changes them, and measures them under load and through failures.",
		Attributes: map[string]schema.Attribute{
			"ssh": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "How to log in to the hosts. Terraform's machine needs a route to their SSH port only, never to Redis.",
				Attributes:          sshAttributes(),
			},
			"gce": schema.SingleNestedAttribute{
				Optional: true,
				MarkdownDescription: "How to ask Compute Engine about nodes that are given by `instance`. The arguments and environment variables are those of the google provider, " +
					"so that none is needed where that one is configured by its environment.",
				Attributes: gceAttributes(),
			},
			"progress_file": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "File to which a line is appended for every step, to follow an apply with `tail -f`. Also `" + progressEnv + "`.",
			},
		},
	}
}

func sshAttributes() map[string]schema.Attribute {
	port := int64validator.Between(1, 65535)
	return map[string]schema.Attribute{
		"user": schema.StringAttribute{Optional: true, MarkdownDescription: "User to log in as; root, or one who may use `sudo -n`. Defaults to the user who runs Terraform."},
		"private_key": schema.StringAttribute{
			Optional: true, Sensitive: true, MarkdownDescription: "Private key, PEM. It may be ephemeral.",
			Validators: []validator.String{stringvalidator.ConflictsWith(path.MatchRoot("ssh").AtName("private_key_file"))},
		},
		"private_key_file": schema.StringAttribute{Optional: true, MarkdownDescription: "Path of the private key."},
		"agent":            schema.BoolAttribute{Optional: true, MarkdownDescription: "Asks the agent at `SSH_AUTH_SOCK`. Defaults to `true` where no key is given."},
		"port":             schema.Int64Attribute{Optional: true, MarkdownDescription: "Port of the SSH servers. Defaults to 22.", Validators: []validator.Int64{port}},
		"known_hosts_file": schema.StringAttribute{Optional: true, MarkdownDescription: "Defaults to `~/.ssh/known_hosts`."},
		"host_key_policy": schema.StringAttribute{
			Optional: true,
			MarkdownDescription: "`strict` (the key has to be known, from `host_key` or known_hosts), `accept-new` (a host that is not known yet is remembered) or " +
				"`insecure` (any key: whoever is between you and the host can read and change everything). Defaults to `strict`.",
			Validators: []validator.String{stringvalidator.OneOf(string(reach.HostKeyStrict), string(reach.HostKeyAcceptNew), string(reach.HostKeyInsecure))},
		},
		"connect_timeout": schema.StringAttribute{Optional: true, MarkdownDescription: "How long a host may take to let us in, such as `30s`, which is the default.", Validators: []validator.String{duration.Validator{}}},
		"parallelism":     schema.Int64Attribute{Optional: true, MarkdownDescription: "How many hosts are worked on at once. Defaults to 64.", Validators: []validator.Int64{int64validator.Between(1, 1000)}},
		"bastion": schema.SingleNestedAttribute{
			Optional: true, MarkdownDescription: "Host that all connections go through.",
			Attributes: map[string]schema.Attribute{
				"host":     schema.StringAttribute{Required: true, MarkdownDescription: "Name or address."},
				"port":     schema.Int64Attribute{Optional: true, MarkdownDescription: "Defaults to `port` of `ssh`.", Validators: []validator.Int64{port}},
				"user":     schema.StringAttribute{Optional: true, MarkdownDescription: "Defaults to `user` of `ssh`."},
				"host_key": schema.StringAttribute{Optional: true, MarkdownDescription: "Its host key; without it known_hosts has to know it."},
			},
		},
	}
}

// model is the provider's configuration.
type model struct {
	SSH          types.Object `tfsdk:"ssh"`
	GCE          types.Object `tfsdk:"gce"`
	ProgressFile types.String `tfsdk:"progress_file"`
}

type sshModel struct {
	User           types.String `tfsdk:"user"`
	PrivateKey     types.String `tfsdk:"private_key"`
	PrivateKeyFile types.String `tfsdk:"private_key_file"`
	Agent          types.Bool   `tfsdk:"agent"`
	Port           types.Int64  `tfsdk:"port"`
	KnownHostsFile types.String `tfsdk:"known_hosts_file"`
	HostKeyPolicy  types.String `tfsdk:"host_key_policy"`
	ConnectTimeout types.String `tfsdk:"connect_timeout"`
	Parallelism    types.Int64  `tfsdk:"parallelism"`
	Bastion        types.Object `tfsdk:"bastion"`
}

// Configure implements provider.Provider. It dials nobody, and what is not
// known yet (a key that this very apply makes) only keeps SSH hosts out of reach.
func (p *Provider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	f := &fleet.Fleet{
		Builds:   embedded.New(),
		Progress: fleet.NewProgress(cmp.Or(m.ProgressFile.ValueString(), os.Getenv(progressEnv))),
	}
	known := req.Config.Raw.IsFullyKnown()
	if !known {
		f.SSHUnknown = true
	} else if !m.SSH.IsNull() {
		var s sshModel
		resp.Diagnostics.Append(m.SSH.As(ctx, &s, basetypes.ObjectAsOptions{})...)
		f.SSH = s.config()
		var diags diag.Diagnostics
		f.SSH.Bastion, diags = login.Bastion(ctx, s.Bastion)
		resp.Diagnostics.Append(diags...)
	}
	var g gceModel
	if known && !m.GCE.IsNull() {
		resp.Diagnostics.Append(m.GCE.As(ctx, &g, basetypes.ObjectAsOptions{})...)
	}
	if known {
		f.GCE = gce.New(g.config().Environment(os.Getenv))
		f.SSH.HostKeys, f.SSH.LastWords, f.SSH.Down = hostKeys(f.GCE), lastWords(f.GCE), down(f.GCE)
	}
	resp.ResourceData, resp.DataSourceData = f, f
}

func (s sshModel) config() reach.SSHConfig {
	return reach.SSHConfig{
		User: s.User.ValueString(), PrivateKey: spec.Secret(s.PrivateKey.ValueString()), PrivateKeyFile: s.PrivateKeyFile.ValueString(),
		Agent: s.Agent.ValueBool(), Port: int(s.Port.ValueInt64()), KnownHostsFile: s.KnownHostsFile.ValueString(),
		HostKeyPolicy:  cmp.Or(reach.HostKeyPolicy(s.HostKeyPolicy.ValueString()), reach.HostKeyStrict),
		ConnectTimeout: duration.Of(s.ConnectTimeout).D(), Parallelism: int(s.Parallelism.ValueInt64()),
	}
}

// Resources implements provider.Provider.
func (p *Provider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{cluster.NewResource, loadtest.NewResource}
}

// DataSources implements provider.Provider.
func (p *Provider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{cluster.NewDataSource}
}

// Functions implements provider.ProviderWithFunctions.
func (p *Provider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{functions.NewKeyslot}
}
