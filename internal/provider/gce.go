package provider

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/redisfleet/terraform-provider-redis/internal/gce"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// consoleTail is how much of a serial console an error shows, in bytes.
const consoleTail = 2000

func gceAttributes() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description}
	}
	secret := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"credentials":                 secret("Service account key in JSON, or the path of a file with one. Also `GOOGLE_CREDENTIALS`. Without it and `access_token`: the application default credentials."),
		"access_token":                secret("OAuth 2.0 access token. Also `GOOGLE_OAUTH_ACCESS_TOKEN`. It may be ephemeral."),
		"impersonate_service_account": text("Service account to act as. Also `GOOGLE_IMPERSONATE_SERVICE_ACCOUNT`."),
		"project":                     text("Project of instances that are given without one. Also `GOOGLE_PROJECT`, `GOOGLE_CLOUD_PROJECT`, `GCLOUD_PROJECT`, `CLOUDSDK_CORE_PROJECT`."),
		"billing_project":             text("Project that calls are charged to, with `user_project_override`. Also `GOOGLE_BILLING_PROJECT`."),
		"user_project_override":       schema.BoolAttribute{Optional: true, MarkdownDescription: "Charges calls to `billing_project`, or else to `project`. Also `USER_PROJECT_OVERRIDE`."},
		"universe_domain":             text("Domain of the cloud, if it is not googleapis.com. Also `GOOGLE_UNIVERSE_DOMAIN`."),
		"compute_custom_endpoint":     text("Address of the Compute Engine API, ending in `/compute/v1/`. Also `GOOGLE_COMPUTE_CUSTOM_ENDPOINT`."),
	}
}

type gceModel struct {
	Credentials               types.String `tfsdk:"credentials"`
	AccessToken               types.String `tfsdk:"access_token"`
	ImpersonateServiceAccount types.String `tfsdk:"impersonate_service_account"`
	Project                   types.String `tfsdk:"project"`
	BillingProject            types.String `tfsdk:"billing_project"`
	UserProjectOverride       types.Bool   `tfsdk:"user_project_override"`
	UniverseDomain            types.String `tfsdk:"universe_domain"`
	ComputeCustomEndpoint     types.String `tfsdk:"compute_custom_endpoint"`
}

func (g gceModel) config() gce.Config {
	return gce.Config{
		Credentials: g.Credentials.ValueString(), AccessToken: g.AccessToken.ValueString(),
		ImpersonateServiceAccount: g.ImpersonateServiceAccount.ValueString(),
		Project:                   g.Project.ValueString(), BillingProject: g.BillingProject.ValueString(),
		UserProjectOverride: g.UserProjectOverride.ValueBool(), UniverseDomain: g.UniverseDomain.ValueString(),
		ComputeCustomEndpoint: g.ComputeCustomEndpoint.ValueString(),
	}
}

// hostKeys reads the keys that a host's guest agent published.
func hostKeys(c *gce.Client) func(context.Context, reach.Target) ([]string, error) {
	return func(ctx context.Context, t reach.Target) ([]string, error) {
		ref, err := c.Ref(t.Instance)
		if err != nil {
			return nil, err
		}
		keys, err := c.HostKeys(ctx, ref)
		gone, unpublished := new(gce.NotFoundError), new(gce.UnpublishedError)
		if errors.As(err, &gone) || errors.As(err, &unpublished) {
			return nil, &reach.NoKeysError{Err: err}
		}
		return keys, err
	}
}

// down says whether a host's instance is gone or does not run, nor is about to.
func down(c *gce.Client) func(context.Context, reach.Target) (bool, error) {
	return func(ctx context.Context, t reach.Target) (bool, error) {
		ref, err := c.Ref(t.Instance)
		if err != nil {
			return false, err
		}
		instance, err := c.Instance(ctx, ref)
		if gone := new(gce.NotFoundError); errors.As(err, &gone) {
			return true, nil
		}
		return err == nil && instance.Down(), err
	}
}

// lastWords shows the state of a host's instance and the end of its console.
func lastWords(c *gce.Client) func(context.Context, reach.Target) string {
	return func(ctx context.Context, t reach.Target) string {
		ref, err := c.Ref(t.Instance)
		if err != nil {
			return ""
		}
		instance, err := c.Instance(ctx, ref)
		if err != nil {
			return err.Error()
		}
		words := "Instance " + ref.String() + " is " + instance.Status + "."
		if console, err := c.Console(ctx, ref, consoleTail); err == nil && console != "" {
			words += " Its serial console ends in:\n" + strings.ReplaceAll(console, "\r", "")
		}
		return words
	}
}
