// Package duration lets attributes be lengths of time, written as Go writes them.
package duration

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Validator admits lengths of time that are not negative.
type Validator struct{}

var _ validator.String = Validator{}

// Description implements validator.String.
func (Validator) Description(context.Context) string {
	return `must be a length of time, such as "30s" or "1m30s"`
}

// MarkdownDescription implements validator.String.
func (v Validator) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString implements validator.String.
func (v Validator) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if d, err := time.ParseDuration(req.ConfigValue.ValueString()); err != nil || d < 0 {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid Duration",
			fmt.Sprintf("%s %s; it is %q.", req.Path, v.Description(ctx), req.ConfigValue.ValueString()))
	}
}

// Of gives the length of time that v holds, which the Validator admitted; 0 if there is none.
func Of(v types.String) spec.Duration {
	d, _ := time.ParseDuration(v.ValueString())
	return spec.Duration(d)
}
