// Package functions is the provider's functions.
package functions

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// Keyslot is provider::redis::keyslot.
type Keyslot struct{}

// NewKeyslot makes a provider::redis::keyslot.
func NewKeyslot() function.Function { return Keyslot{} }

// Metadata implements function.Function.
func (Keyslot) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "keyslot"
}

// Definition implements function.Function.
func (Keyslot) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Hash slot of a key",
		MarkdownDescription: "Gives the hash slot, 0 to 16383, of a key, as `CLUSTER KEYSLOT` does: of what stands in its first braces, if it has a hash tag. Needs Terraform 1.8 or later.",
		Parameters:          []function.Parameter{function.StringParameter{Name: "key", MarkdownDescription: "The key."}},
		Return:              function.Int64Return{},
	}
}

// Run implements function.Function.
func (Keyslot) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var key string
	if resp.Error = req.Arguments.Get(ctx, &key); resp.Error != nil {
		return
	}
	resp.Error = resp.Result.Set(ctx, int64(spec.Slot(key)))
}
