package functions_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/functions"
)

// The slots are what CLUSTER KEYSLOT of Redis 7.0.15 answers.
func TestKeyslot(t *testing.T) {
	for key, want := range map[string]int64{"foo": 12182, "{user1000}.following": 3443, "{user1000}.followers": 3443, "": 0} {
		resp := function.RunResponse{Result: function.NewResultData(types.Int64Unknown())}
		functions.NewKeyslot().Run(t.Context(), function.RunRequest{Arguments: function.NewArgumentsData([]attr.Value{types.StringValue(key)})}, &resp)
		if resp.Error != nil || !resp.Result.Value().Equal(types.Int64Value(want)) {
			t.Errorf("keyslot(%q) = %v, %v, want %d", key, resp.Result.Value(), resp.Error, want)
		}
	}
}
