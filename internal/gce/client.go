// Package gce asks Google Compute Engine what only it knows of a host: its
// addresses, zone and id, its SSH host keys, its console, and the firewall rules
// around it. It is configured as Terraform's google provider is.
package gce

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	compute "cloud.google.com/go/compute/apiv1"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/impersonate"
	"google.golang.org/api/option"
)

// Config is how to reach the API. The fields are the google provider's arguments
// of the same names.
type Config struct {
	// Credentials is a service account's or user's key in JSON, or a file with one.
	// Without it and AccessToken the application default credentials are used.
	Credentials string
	// AccessToken is an OAuth 2.0 token. It goes before Credentials.
	AccessToken               string
	ImpersonateServiceAccount string
	// Project is that of instances which are given without one.
	Project string
	// BillingProject is charged with the calls, if UserProjectOverride is set.
	BillingProject      string
	UserProjectOverride bool
	UniverseDomain      string
	// ComputeCustomEndpoint ends in /compute/v1/, as the google provider takes it.
	ComputeCustomEndpoint string
}

// Environment fills what c leaves empty from the environment variables that the
// google provider reads, in its order.
func (c Config) Environment(getenv func(string) string) Config {
	first := func(value string, names ...string) string {
		for _, name := range names {
			value = cmp.Or(value, getenv(name))
		}
		return value
	}
	if c.AccessToken == "" && c.Credentials == "" {
		c.AccessToken = getenv("GOOGLE_OAUTH_ACCESS_TOKEN")
		c.Credentials = first("", "GOOGLE_CREDENTIALS", "GOOGLE_CLOUD_KEYFILE_JSON", "GCLOUD_KEYFILE_JSON")
	}
	c.ImpersonateServiceAccount = first(c.ImpersonateServiceAccount, "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT")
	c.Project = first(c.Project, "GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
	c.BillingProject = first(c.BillingProject, "GOOGLE_BILLING_PROJECT")
	c.UserProjectOverride = c.UserProjectOverride || getenv("USER_PROJECT_OVERRIDE") == "true"
	c.UniverseDomain = first(c.UniverseDomain, "GOOGLE_UNIVERSE_DOMAIN")
	c.ComputeCustomEndpoint = first(c.ComputeCustomEndpoint, "GOOGLE_COMPUTE_CUSTOM_ENDPOINT")
	return c
}

// Client asks the API. It is safe for concurrent use, and connects with the first
// call only.
type Client struct {
	config Config
	open   func() (*compute.InstancesClient, error)
}

// New gives a client. It does not connect, and credentials are looked at with the
// first call.
func New(c Config) *Client {
	client := &Client{config: c}
	client.open = sync.OnceValues(func() (*compute.InstancesClient, error) {
		options, err := c.options()
		if err != nil {
			return nil, err
		}
		// The client outlives the call that opens it.
		instances, err := compute.NewInstancesRESTClient(context.Background(), options...)
		if err != nil {
			return nil, fmt.Errorf("open the Compute Engine API: %w; set gce.credentials or gce.access_token, or run `gcloud auth application-default login`", err)
		}
		return instances, nil
	})
	return client
}

func (c Config) options() ([]option.ClientOption, error) {
	const scope = "https://www.googleapis.com/auth/cloud-platform"
	general := []option.ClientOption{option.WithScopes(scope), option.WithUserAgent("terraform-provider-redis")}
	options := slices.Clone(general)
	switch {
	case c.AccessToken != "":
		options = append(options, option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: c.AccessToken})))
	case c.Credentials != "":
		kind, key, err := readCredentials(c.Credentials)
		if err != nil {
			return nil, fmt.Errorf("gce.credentials: %w", err)
		}
		options = append(options, option.WithAuthCredentialsJSON(kind, key))
	}
	if c.ImpersonateServiceAccount != "" {
		// The tokens outlive the call that asks for the first one.
		tokens, err := impersonate.CredentialsTokenSource(context.Background(),
			impersonate.CredentialsConfig{TargetPrincipal: c.ImpersonateServiceAccount, Scopes: []string{scope}}, options...)
		if err != nil {
			return nil, fmt.Errorf("impersonate %s: %w", c.ImpersonateServiceAccount, err)
		}
		options = append(slices.Clone(general), option.WithTokenSource(tokens))
	}
	if c.UserProjectOverride {
		options = append(options, option.WithQuotaProject(cmp.Or(c.BillingProject, c.Project)))
	}
	if c.UniverseDomain != "" {
		options = append(options, option.WithUniverseDomain(c.UniverseDomain))
	}
	if c.ComputeCustomEndpoint != "" {
		endpoint, err := url.Parse(c.ComputeCustomEndpoint)
		if err != nil || endpoint.Host == "" {
			return nil, fmt.Errorf("gce.compute_custom_endpoint %q is no URL such as https://compute.example.com/compute/v1/", c.ComputeCustomEndpoint)
		}
		// The client adds the path itself.
		endpoint.Path, _, _ = strings.Cut(endpoint.Path, "/compute/")
		options = append(options, option.WithEndpoint(strings.TrimSuffix(endpoint.String(), "/")))
	}
	return options, nil
}

// readCredentials takes a key in JSON, or the path of a file with one.
func readCredentials(text string) (option.CredentialsType, []byte, error) {
	key := []byte(text)
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		var err error
		if key, err = os.ReadFile(text); err != nil {
			return "", nil, err
		}
	}
	var head struct {
		Type option.CredentialsType `json:"type"`
	}
	if err := json.Unmarshal(key, &head); err != nil || head.Type == "" {
		return "", nil, errors.New("it is neither a key in JSON nor a file with one")
	}
	return head.Type, key, nil
}

// NotFoundError is an instance that does not exist.
type NotFoundError struct{ Ref Ref }

// Error implements error.
func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no instance %s", e.Ref) }

// explain gives err the instance's name, and its meaning where there is one.
func explain(ref Ref, doing string, err error) error {
	answer := new(googleapi.Error)
	if errors.As(err, &answer) && answer.Code == http.StatusNotFound {
		return &NotFoundError{Ref: ref}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, ref, err)
	}
	return nil
}
