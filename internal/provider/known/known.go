// Package known tells what is known of a value at plan time.
package known

import (
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

// Wholly says whether all of values, and everything in them, is known. Null is known.
func Wholly(values ...attr.Value) bool {
	return !slices.ContainsFunc(values, func(v attr.Value) bool { return v.IsUnknown() || !Wholly(parts(v)...) })
}

// parts gives the values that v is made of.
func parts(v attr.Value) []attr.Value {
	switch v := v.(type) {
	case basetypes.MapValue:
		return slices.Collect(maps.Values(v.Elements()))
	case basetypes.ObjectValue:
		return slices.Collect(maps.Values(v.Attributes()))
	case basetypes.ListValue:
		return v.Elements()
	}
	return nil
}
