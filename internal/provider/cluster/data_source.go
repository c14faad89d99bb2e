package cluster

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/datasourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/fleet"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/diagnose"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// DataSource is the data source redis_cluster: how any cluster is now.
type DataSource struct{ fleet *fleet.Fleet }

// NewDataSource makes a data source redis_cluster.
func NewDataSource() datasource.DataSource { return &DataSource{} }

var (
	_ datasource.DataSourceWithConfigure        = (*DataSource)(nil)
	_ datasource.DataSourceWithConfigValidators = (*DataSource)(nil)
)

// dataModel is the data source in Terraform's types.
type dataModel struct {
	Cluster      types.Object `tfsdk:"cluster"`
	Seeds        types.List   `tfsdk:"endpoints"`
	Transport    types.String `tfsdk:"transport"`
	SSHHost      types.String `tfsdk:"ssh_host"`
	HostKey      types.String `tfsdk:"host_key"`
	BaseDir      types.String `tfsdk:"base_dir"`
	Username     types.String `tfsdk:"username"`
	PasswordFile types.String `tfsdk:"password_file"`
	Healthy      types.Bool   `tfsdk:"healthy"`
	topologyModel
}

// Metadata implements datasource.DataSource.
func (d *DataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_cluster"
}

// Schema implements datasource.DataSource.
func (d *DataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := map[string]schema.Attribute{
		"cluster": schema.ObjectAttribute{
			Optional: true, AttributeTypes: connection.AttrTypes(),
			MarkdownDescription: "`connection_info` of a `redis_cluster`. For any other cluster give `endpoints`.",
		},
		"endpoints": schema.ListAttribute{
			ElementType: types.StringType, Optional: true,
			MarkdownDescription: "`address:port` of some nodes of any cluster; the others are discovered. They are asked from the machine that `transport` and `ssh_host` say.",
			Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
		},
		"transport": schema.StringAttribute{
			Optional: true, MarkdownDescription: "For `endpoints`: `ssh` (from `ssh_host`) or `local` (from the machine that Terraform runs on). Defaults to `local`.",
			Validators: []validator.String{stringvalidator.OneOf(connection.TransportSSH, connection.TransportLocal)},
		},
		"ssh_host":      schema.StringAttribute{Optional: true, MarkdownDescription: "For `transport = \"ssh\"`: a host that can reach the nodes."},
		"host_key":      schema.StringAttribute{Optional: true, MarkdownDescription: "SSH host key of `ssh_host`."},
		"base_dir":      schema.StringAttribute{Optional: true, MarkdownDescription: "Directory on `ssh_host` for `redis-bootstrap`. Defaults to `" + defaultBaseDir + "`."},
		"username":      schema.StringAttribute{Optional: true, MarkdownDescription: "For `endpoints`: ACL user to log in as."},
		"password_file": schema.StringAttribute{Optional: true, MarkdownDescription: "For `endpoints`: file on the machine that Terraform runs on whose first line is the password. A password itself would end up in the state."},
		"healthy":       schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether `status` is `ok`, for `check` blocks."},
	}
	for name, attribute := range outputs() {
		switch name {
		case "id", "formed", "drift", "endpoints", "connection_info":
		default:
			attributes[name] = readOnly(attribute)
		}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "How a Redis Cluster is now, as all its nodes together see it: one made by `redis_cluster`, or any other. It changes nothing, and a cluster that cannot be reached is no error: `status` says so.",
		Attributes:          attributes,
	}
}

// readOnly gives a computed attribute of the resource as one of the data source.
func readOnly(a resourceschema.Attribute) schema.Attribute {
	switch a := a.(type) {
	case resourceschema.StringAttribute:
		return schema.StringAttribute{Computed: true, MarkdownDescription: a.MarkdownDescription}
	case resourceschema.Int64Attribute:
		return schema.Int64Attribute{Computed: true, MarkdownDescription: a.MarkdownDescription}
	case resourceschema.BoolAttribute:
		return schema.BoolAttribute{Computed: true, MarkdownDescription: a.MarkdownDescription}
	case resourceschema.ListAttribute:
		return schema.ListAttribute{Computed: true, ElementType: a.ElementType, MarkdownDescription: a.MarkdownDescription}
	case resourceschema.ListNestedAttribute:
		return schema.ListNestedAttribute{Computed: true, MarkdownDescription: a.MarkdownDescription, NestedObject: readOnlyObject(a.NestedObject)}
	case resourceschema.MapNestedAttribute:
		return schema.MapNestedAttribute{Computed: true, MarkdownDescription: a.MarkdownDescription, NestedObject: readOnlyObject(a.NestedObject)}
	}
	return nil
}

func readOnlyObject(o resourceschema.NestedAttributeObject) schema.NestedAttributeObject {
	attributes := make(map[string]schema.Attribute, len(o.Attributes))
	for name, a := range o.Attributes {
		attributes[name] = readOnly(a)
	}
	return schema.NestedAttributeObject{Attributes: attributes}
}

// ConfigValidators implements datasource.DataSourceWithConfigValidators.
func (d *DataSource) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{
		datasourcevalidator.ExactlyOneOf(path.MatchRoot("cluster"), path.MatchRoot("endpoints")),
	}
}

// Configure implements datasource.DataSourceWithConfigure.
func (d *DataSource) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if f, ok := req.ProviderData.(*fleet.Fleet); ok {
		d.fleet = f
	}
}

// Read implements datasource.DataSource.
func (d *DataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m dataModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	session := d.fleet.Borrow()
	defer closing(session, &resp.Diagnostics)
	status, err := m.ask(ctx, session)
	if u := new(reach.UnreachableError); errors.As(err, &u) {
		status, err = spec.ClusterStatus{Health: spec.HealthUnreachable, Problems: []string{u.Error()}}, nil
	}
	if err != nil {
		diagnose.Error(&resp.Diagnostics, cannotRead, err)
		return
	}
	t, diags := topology(ctx, status)
	resp.Diagnostics.Append(diags...)
	m.topologyModel = t
	m.Healthy = types.BoolValue(status.Health == spec.HealthOK)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// ask asks the cluster that m names.
func (m dataModel) ask(ctx context.Context, s *fleet.Session) (spec.ClusterStatus, error) {
	if !m.Cluster.IsNull() {
		var c connection.Model
		if diags := m.Cluster.As(ctx, &c, basetypes.ObjectAsOptions{}); diags.HasError() {
			return spec.ClusterStatus{}, errors.New(diags[0].Detail())
		}
		return observe(ctx, s, c.Connection())
	}
	machine, err := m.machine()
	if err != nil {
		return spec.ClusterStatus{}, err
	}
	request := spec.ClusterInspect{Versioned: spec.V(), Discover: true}
	if request.Auth, err = m.auth(); err != nil {
		return spec.ClusterStatus{}, err
	}
	if request.Nodes, err = m.seeds(); err != nil {
		return spec.ClusterStatus{}, err
	}
	host, err := s.Host(ctx, machine)
	if err != nil {
		return spec.ClusterStatus{}, err
	}
	return fleet.Call[spec.ClusterStatus](ctx, host, "cluster inspect", request)
}

// machine gives the machine that endpoints are asked from.
func (m dataModel) machine() (fleet.Machine, error) {
	base := defaultBaseDir
	if !m.BaseDir.IsNull() {
		base = m.BaseDir.ValueString()
	}
	if m.Transport.ValueString() != connection.TransportSSH {
		return fleet.Machine{Name: connection.TransportLocal, Local: true, BaseDir: base}, nil
	}
	host := m.SSHHost.ValueString()
	if host == "" {
		return fleet.Machine{}, &spec.Failure{Cause: `transport is "ssh" and ssh_host is missing`, Advice: "Set ssh_host to a host that can reach the nodes."}
	}
	return fleet.Machine{Name: host, BaseDir: base, Target: reach.Target{Name: host, Address: host, HostKey: m.HostKey.ValueString()}}, nil
}

func (m dataModel) auth() (spec.Auth, error) {
	auth := spec.Auth{Username: m.Username.ValueString()}
	if m.PasswordFile.IsNull() {
		return auth, nil
	}
	text, err := os.ReadFile(m.PasswordFile.ValueString())
	if err != nil {
		return auth, &spec.Failure{Step: "read password_file", Cause: err.Error(), Advice: "Give the path of a file whose first line is the password."}
	}
	line, _, _ := strings.Cut(string(text), "\n")
	auth.Password = spec.Secret(strings.TrimSuffix(line, "\r"))
	return auth, nil
}

func (m dataModel) seeds() ([]spec.Node, error) {
	var nodes []spec.Node
	for _, v := range m.Seeds.Elements() {
		text, ok := v.(types.String)
		if !ok {
			continue
		}
		host, port, err := net.SplitHostPort(text.ValueString())
		number, portErr := strconv.ParseUint(port, 10, 16)
		if err != nil || portErr != nil || net.ParseIP(host) == nil {
			return nil, &spec.Failure{Step: "read endpoints", Cause: strconv.Quote(text.ValueString()) + " is no address:port", Advice: "Write an IP address and a port, such as 10.128.0.2:6379."}
		}
		nodes = append(nodes, spec.Node{Name: text.ValueString(), Address: host, Port: int(number), BusPort: int(number) + spec.BusPortOffset, Host: host})
	}
	return nodes, nil
}
