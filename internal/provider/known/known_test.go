package known_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/internal/provider/known"
)

func TestWholly(t *testing.T) {
	list := func(values ...attr.Value) attr.Value { return types.ListValueMust(types.StringType, values) }
	deep := func(v attr.Value) attr.Value {
		object := types.ObjectValueMust(map[string]attr.Type{"a": types.ListType{ElemType: types.StringType}}, map[string]attr.Value{"a": list(v)})
		return types.MapValueMust(object.Type(t.Context()), map[string]attr.Value{"k": object})
	}
	for name, test := range map[string]struct {
		value attr.Value
		want  bool
	}{
		"null":         {types.StringNull(), true},
		"unknown":      {types.StringUnknown(), false},
		"empty list":   {list(), true},
		"unknown list": {types.ListUnknown(types.StringType), false},
		"deep null":    {deep(types.StringNull()), true},
		"deep unknown": {deep(types.StringUnknown()), false},
	} {
		if got := known.Wholly(test.value); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
