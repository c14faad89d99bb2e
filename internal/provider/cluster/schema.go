package cluster

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
	"github.com/redisfleet/terraform-provider-redis/internal/provider/login"
)

const (
	defaultPort    = 6379
	defaultBaseDir = "/var/lib/redis-cluster"
)

// The names become directories and units on the hosts, and parts of messages.
var (
	clusterName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	nodeName     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	instanceLink = regexp.MustCompile(`(^|/)zones/[^/]+/instances/[^/]+$`)
	absolute     = regexp.MustCompile(`^(/[A-Za-z0-9@+_.,=~-]+)+$`)
)

func resourceSchema(ctx context.Context) schema.Schema {
	attributes := map[string]schema.Attribute{}
	for _, part := range []map[string]schema.Attribute{inputs(ctx), outputs()} {
		for name, attribute := range part {
			attributes[name] = attribute
		}
	}
	return schema.Schema{
		MarkdownDescription: "A Redis Cluster: the processes on their hosts, and the topology that they form. " +
			"An apply installs and configures Redis on every host, forms the cluster or changes it, and ends when every node has been seen to agree.",
		Attributes: attributes,
	}
}

func inputs(ctx context.Context) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Name of the cluster: lower case letters, digits and hyphens. With `base_dir` it identifies the cluster on its hosts. Changing it makes a new cluster.",
			Validators: []validator.String{
				stringvalidator.RegexMatches(clusterName, "must be lower case letters, digits and hyphens, at most 40"),
				stringvalidator.NoneOf("bin"),
			},
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
		},
		"base_dir": schema.StringAttribute{
			Optional: true, Computed: true,
			Default: stringdefault.StaticString(defaultBaseDir),
			MarkdownDescription: "Absolute path of the directory on every host that holds configuration, data and the pushed `redis-bootstrap`. " +
				"Defaults to `" + defaultBaseDir + "`. For a path in the working tree write `abspath(\"${path.module}/.redis\")`. Changing it makes a new cluster.",
			Validators: []validator.String{
				stringvalidator.RegexMatches(absolute, `must be an absolute path of letters, digits and @+_.,=~-; for one in the working tree write abspath("${path.module}/.redis")`),
			},
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
		},
		"nodes": schema.MapNestedAttribute{
			Required:            true,
			MarkdownDescription: "The nodes, by name. Names are what plans, errors and results call them.",
			NestedObject:        schema.NestedAttributeObject{Attributes: nodeInputs()},
			Validators: []validator.Map{
				mapvalidator.SizeAtLeast(1),
				mapvalidator.KeysAre(stringvalidator.RegexMatches(nodeName, "must be letters, digits, hyphens, dots and underscores, at most 63")),
			},
		},
		"replicas_per_shard": schema.Int64Attribute{
			Optional: true, Computed: true,
			Default:             int64default.StaticInt64(1),
			MarkdownDescription: "How many replicas each primary has. Defaults to 1. The number of shards is the number of processes ÷ (1 + `replicas_per_shard`), at least 3.",
			Validators:          []validator.Int64{int64validator.Between(0, 16)},
		},
		"spare_replicas": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "How many shards, fewer than all, have one replica more than `replicas_per_shard`. A fourth node becomes a replica of three primaries without replicas by `replicas_per_shard = 0` and `spare_replicas = 1`. Without it: 0.",
			Validators:          []validator.Int64{int64validator.AtLeast(0)},
		},
		"server": schema.SingleNestedAttribute{
			Optional:            true,
			MarkdownDescription: "Which server to run, and how it gets onto the hosts. Without it: `redis` from the distribution's packages.",
			Attributes:          serverInputs(),
		},
		"config": schema.MapAttribute{
			ElementType: types.StringType, Optional: true,
			MarkdownDescription: "Directives of redis.conf, by name. A value of several lines becomes the directive several times. " +
				"Directives that the provider owns (ports, addresses, passwords, paths) are refused at plan time, with the reason.",
		},
		"password_wo": schema.StringAttribute{
			Optional: true, WriteOnly: true, Sensitive: true,
			MarkdownDescription: "Password of the cluster, for clients and between nodes. It is carried on standard input only and is in no state and no plan. Needs Terraform 1.11 or later.",
			Validators: []validator.String{
				stringvalidator.LengthAtLeast(1),
				stringvalidator.AlsoRequires(path.MatchRoot("password_wo_version")),
			},
		},
		"password_wo_version": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "Raise it to have a new `password_wo` taken up: Terraform itself cannot see that it changed.",
			Validators:          []validator.Int64{int64validator.AlsoRequires(path.MatchRoot("password_wo"))},
		},
		"allow_unauthenticated": schema.BoolAttribute{
			Optional: true, Computed: true,
			Default:             booldefault.StaticBool(false),
			MarkdownDescription: "Lets a cluster over several hosts do without a password. Then whoever reaches its ports owns its data; private addresses only. Defaults to `false`.",
		},
		"tune_os": schema.BoolAttribute{
			Optional: true, Computed: true,
			Default:             booldefault.StaticBool(true),
			MarkdownDescription: "Sets the kernel parameters that Redis asks for, for good, on hosts reached over SSH; those that cannot be written are named in a warning. Defaults to `true`.",
		},
		"accept_data_loss": schema.BoolAttribute{
			Optional: true, Computed: true,
			Default:             booldefault.StaticBool(false),
			MarkdownDescription: "Permits giving slots whose every copy is lost to other nodes, empty. Set it for the one apply that needs it. Defaults to `false`.",
		},
		"deletion_protection": schema.BoolAttribute{
			Optional: true, Computed: true,
			Default:             booldefault.StaticBool(true),
			MarkdownDescription: "Refuses to destroy the cluster and its data. Defaults to `true`: set it to `false` and apply before a destroy.",
		},
		"take_over": schema.BoolAttribute{
			Optional: true,
			MarkdownDescription: "For a cluster that somebody else made and that was imported: set it to `true` to have its processes taken over now. " +
				"Without it the first apply that changes something on the hosts takes them over. Neither restarts a process unless a setting needs it, which the plan says.",
		},
		"ssh": login.Attribute("the hosts of this cluster"),
		"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
			Create: true, Update: true, Delete: true,
			CreateDescription: "How long a create may take, such as `30m`, which is the default.",
			UpdateDescription: "How long an update may take, such as `30m`, which is the default.",
			DeleteDescription: "How long a destroy may take, such as `10m`, which is the default.",
		}),
	}
}

func nodeInputs() map[string]schema.Attribute {
	port := int64validator.Between(1, 65535)
	return map[string]schema.Attribute{
		"address": schema.StringAttribute{
			Optional: true, Computed: true,
			MarkdownDescription: "IP address that the node announces to clients and to the other nodes; the private one. With `instance` it is looked up unless it is set.",
		},
		"port": schema.Int64Attribute{
			Optional: true, Computed: true, Default: int64default.StaticInt64(defaultPort),
			MarkdownDescription: "Client port. Defaults to 6379.", Validators: []validator.Int64{port},
		},
		"bus_port": schema.Int64Attribute{
			Optional: true, MarkdownDescription: "Port of the cluster bus. Without it: `port` + 10000.", Validators: []validator.Int64{port},
		},
		"processes": schema.Int64Attribute{
			Optional: true, Computed: true, Default: int64default.StaticInt64(1),
			MarkdownDescription: "How many Redis processes the node runs, on `port` and the ports after it. They are called `NAME:PORT` when there are several. Defaults to 1.",
			Validators:          []validator.Int64{int64validator.Between(1, 1000)},
		},
		"transport": schema.StringAttribute{
			Optional: true, Computed: true, Default: stringdefault.StaticString(connection.TransportSSH),
			MarkdownDescription: "`ssh`, or `local` for the machine that Terraform runs on, which needs no root. Defaults to `ssh`.",
			Validators:          []validator.String{stringvalidator.OneOf(connection.TransportSSH, connection.TransportLocal)},
		},
		"ssh_host": schema.StringAttribute{
			Optional: true, MarkdownDescription: "Name or address to reach the host at over SSH. Without it: `address`.", Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"host_key": schema.StringAttribute{
			Optional: true, MarkdownDescription: "The SSH host key, as in `known_hosts` without the name: `ssh-ed25519 AAAA…`. Without it known_hosts has to know the host.",
		},
		"instance": schema.StringAttribute{
			Optional: true, MarkdownDescription: "Self link of the Compute Engine instance that the node is on: `google_compute_instance.NAME.self_link`. " +
				"Its private address, zone and id are looked up, its SSH host key is read from its guest attributes (metadata `enable-guest-attributes = \"TRUE\"`), " +
				"and its serial console is shown where it cannot be reached. See `gce` of the provider.",
			Validators: []validator.String{stringvalidator.RegexMatches(instanceLink, "must be a self link of an instance, such as google_compute_instance.NAME.self_link")},
		},
		"instance_id": schema.StringAttribute{
			Optional: true, Computed: true, MarkdownDescription: "Id of the VM. Nodes with the same id share a failure domain, and a VM that was made anew has another one. Without it: that of `instance`, or else `address`.",
		},
		"zone": schema.StringAttribute{
			Optional: true, Computed: true, MarkdownDescription: "Zone of the VM. A replica is put into another zone than its primary where that can be.",
		},
	}
}

func serverInputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"flavor": schema.StringAttribute{
			Optional: true, Computed: true, Default: stringdefault.StaticString(string(spec.FlavorRedis)),
			MarkdownDescription: "`redis` or `valkey`. Defaults to `redis`.",
			Validators:          []validator.String{stringvalidator.OneOf(string(spec.FlavorRedis), string(spec.FlavorValkey))},
		},
		"install": schema.StringAttribute{
			Optional: true, Computed: true, Default: stringdefault.StaticString(string(spec.InstallPackage)),
			MarkdownDescription: "`package` (the distribution's), `source` (built from `source_url`) or `preinstalled`. Defaults to `package`.",
			Validators:          []validator.String{stringvalidator.OneOf(string(spec.InstallPackage), string(spec.InstallSource), string(spec.InstallPreinstalled))},
		},
		"path": schema.StringAttribute{
			Optional: true, MarkdownDescription: "Absolute path of the server program on every host, for `install = \"preinstalled\"`. Without it the program is looked for in `PATH` and where packages put it. " +
				"Put a new version beside the old one and change `path` to upgrade.",
			Validators: []validator.String{stringvalidator.RegexMatches(absolute, "must be an absolute path of letters, digits and @+_.,=~-")},
		},
		"version": schema.StringAttribute{
			Optional: true, MarkdownDescription: "Wanted version, or its beginning (`7.0`). Without it: any. Changing it upgrades the nodes one at a time, replicas first. A version that cannot read the nodes' data files is refused at plan time.", Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"source_url": schema.StringAttribute{
			Optional: true, MarkdownDescription: "URL of the source tarball, for `install = \"source\"`.",
			Validators: []validator.String{stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName("sha256"))},
		},
		"sha256": schema.StringAttribute{
			Optional: true, MarkdownDescription: "SHA-256 of the source tarball, 64 hex digits.",
			Validators: []validator.String{stringvalidator.RegexMatches(regexp.MustCompile(`^[0-9a-f]{64}$`), "must be 64 lower case hex digits")},
		},
	}
}

func outputs() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{
			Computed: true, MarkdownDescription: "The name of the cluster.",
		},
		"status": schema.StringAttribute{
			Computed: true, MarkdownDescription: "`ok`; `degraded` (every slot is served, something is missing); `down` (some slots are not served); " +
				"`unreachable` (no host could be asked: the cluster may be well, and what is known of it stays). A cluster that is degraded or down is repaired by the next apply.",
		},
		"formed":   schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether its creation has come to its end. One that has not is finished, or replaced, by the next apply."},
		"problems": schema.ListAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "What is wrong, a sentence each."},
		"drift": schema.ListAttribute{
			ElementType: types.StringType, Computed: true,
			MarkdownDescription: "What was changed on the hosts by hand, a sentence each that names the node and what the next apply does about it. Roles that swapped in a failover are none.",
		},
		"endpoints":      schema.ListAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "`address:port` of every process, in the order of the nodes' names."},
		"shards":         shardsAttribute(),
		"node_status":    nodeStatusAttribute(),
		"slots_assigned": schema.Int64Attribute{Computed: true, MarkdownDescription: "How many of the 16384 slots have an owner."},
		"slots_ok":       schema.Int64Attribute{Computed: true, MarkdownDescription: "How many of the 16384 slots are served."},
		"current_epoch":  schema.Int64Attribute{Computed: true, MarkdownDescription: "The highest epoch that a node has seen. A failover raises it."},
		"server_version": schema.StringAttribute{Computed: true, MarkdownDescription: "The version that all nodes run; where they differ, all of them."},
		"server_flavor":  schema.StringAttribute{Computed: true, MarkdownDescription: "`redis` or `valkey`."},
		"connection_info": schema.ObjectAttribute{
			Computed: true, AttributeTypes: connection.AttrTypes(),
			MarkdownDescription: "All that `redis_loadtest` and the data source need to reach the cluster. There is no secret in it.",
		},
	}
}

func shardsAttribute() schema.Attribute {
	return schema.ListNestedAttribute{
		Computed: true, MarkdownDescription: "The shards, in the order of their first slot.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"slots":      schema.StringAttribute{Computed: true, MarkdownDescription: "Slots, such as `0-5460`."},
			"slot_count": schema.Int64Attribute{Computed: true, MarkdownDescription: "How many they are."},
			"primary":    schema.StringAttribute{Computed: true, MarkdownDescription: "Name of the primary."},
			"replicas":   schema.ListAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "Names of the replicas."},
		}},
	}
}

func nodeStatusAttribute() schema.Attribute {
	return schema.MapNestedAttribute{
		Computed: true, MarkdownDescription: "What is known of every process, by name.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"address":   schema.StringAttribute{Computed: true, MarkdownDescription: "`address:port`."},
			"id":        schema.StringAttribute{Computed: true, MarkdownDescription: "Node id, 40 hex digits; empty if it did not answer."},
			"reachable": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it answered."},
			"error":     schema.StringAttribute{Computed: true, MarkdownDescription: "Why it did not."},
			"role":      schema.StringAttribute{Computed: true, MarkdownDescription: "`primary` or `replica`."},
			"primary":   schema.StringAttribute{Computed: true, MarkdownDescription: "Name of a replica's primary."},
			"slots":     schema.StringAttribute{Computed: true, MarkdownDescription: "Slots that it owns."},
		}},
	}
}
