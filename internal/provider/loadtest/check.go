package loadtest

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/connection"
)

// runners gives the runners, all of which are known.
func (m model) runners(ctx context.Context) (map[string]runnerModel, diag.Diagnostics) {
	if m.Runners.IsNull() {
		return nil, nil
	}
	found := make(map[string]runnerModel)
	var diags diag.Diagnostics
	for name, v := range m.Runners.Elements() {
		object, ok := v.(basetypes.ObjectValue)
		if !ok {
			continue
		}
		var r runnerModel
		diags.Append(object.As(ctx, &r, emptyAsZero)...)
		found[name] = r
	}
	return found, diags
}

// checkRunners finds runners that cannot be reached at all.
func (m model) checkRunners(ctx context.Context) diag.Diagnostics {
	runners, diags := m.runners(ctx)
	for _, name := range slices.Sorted(maps.Keys(runners)) {
		if r := runners[name]; r.Transport != connection.TransportLocal && r.Address == "" && r.SSHHost == "" {
			diags.AddAttributeError(path.Root("runners").AtMapKey(name), "Runner Without an Address",
				fmt.Sprintf("runners[%q] has neither address nor ssh_host. Set one of them, or transport = \"local\" for the machine that Terraform runs on.", name))
		}
	}
	return diags
}

var pathPart = regexp.MustCompile(`([a-z0-9_]+)(?:\[(\d+)\])?`)

// attributePath gives the attribute of the workload that the spec calls name:
// "keys.maximum", "stages[0].rate", "operations.set". Verify is no part of the workload.
func attributePath(name string) path.Path {
	if name == "verify" {
		return path.Root(name)
	}
	p := path.Root("workload")
	inMap := false
	for _, part := range pathPart.FindAllStringSubmatch(name, -1) {
		if inMap {
			return p.AtMapKey(part[1])
		}
		p = p.AtName(part[1])
		if index, err := strconv.Atoi(part[2]); err == nil {
			p = p.AtListIndex(index)
		}
		inMap = part[1] == "operations"
	}
	return p
}
