// Command terraform-provider-redis is the Terraform provider redisfleet/redis:
// Redis clusters and load tests against them.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/redisfleet/terraform-provider-redis/internal/provider"
)

// version is set by the linker.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "serve for a debugger to attach to")
	flag.Parse()
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: "registry.terraform.io/redisfleet/redis",
		Debug:   *debug,
	})
	if err != nil {
		log.Fatal(err)
	}
}
