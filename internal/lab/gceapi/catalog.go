//go:build linux

package gceapi

import (
	"net/http"
	"path"
	"slices"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

// What a cloud has before anybody makes anything in it.

// image is an image of debian-cloud.
type image struct {
	family, name string
	boots        lab.Image
}

var images = []image{
	{"debian-12", "debian-12-bookworm-v20261103", lab.Bookworm},
	{"debian-13", "debian-13-trixie-v20261103", lab.Trixie},
}

func (i image) pb() *computepb.Image {
	const path = "projects/debian-cloud/global/images/"
	return &computepb.Image{
		Kind: proto.String("compute#image"), Id: proto.Uint64(3_000_000_000_000_000_001), Name: proto.String(i.name), Family: proto.String(i.family),
		SelfLink: proto.String(origin + path + i.name), Status: proto.String("READY"), DiskSizeGb: proto.Int64(10),
		ArchiveSizeBytes: proto.Int64(1 << 30), Architecture: proto.String("X86_64"), CreationTimestamp: proto.String("2026-11-03T00:00:00.000-08:00"),
		SourceType: proto.String("RAW"), StorageLocations: []string{"us"},
	}
}

func (a *API) getImage(r *http.Request) (proto.Message, error) {
	name := r.PathValue("name")
	if i := slices.IndexFunc(images, func(i image) bool { return i.name == name }); i >= 0 {
		return images[i].pb(), nil
	}
	return nil, notFound("global/images/" + name)
}

func (a *API) getImageFamily(r *http.Request) (proto.Message, error) {
	family := r.PathValue("family")
	if i := slices.IndexFunc(images, func(i image) bool { return i.family == family }); i >= 0 {
		return images[i].pb(), nil
	}
	return nil, notFound("global/images/family/" + family)
}

func (a *API) getProject(*http.Request) (proto.Message, error) {
	return &computepb.Project{
		Kind: proto.String("compute#project"), Id: proto.Uint64(1_000_000_000_001), Name: proto.String(Project),
		SelfLink: proto.String(origin + "projects/" + Project), DefaultNetworkTier: proto.String("PREMIUM"),
		CommonInstanceMetadata: &computepb.Metadata{Kind: proto.String("compute#metadata"), Fingerprint: proto.String(fingerprint())},
	}, nil
}

func (a *API) getRegion(r *http.Request) (proto.Message, error) {
	if r.PathValue("name") != Region {
		return nil, notFound("regions/" + r.PathValue("name"))
	}
	region := &computepb.Region{Kind: proto.String("compute#region"), Name: proto.String(Region), Status: proto.String("UP"), SelfLink: proto.String(link("regions/" + Region))}
	for _, z := range Zones {
		region.Zones = append(region.Zones, link("zones/"+z))
	}
	return region, nil
}

func zone(name string) *computepb.Zone {
	return &computepb.Zone{
		Kind: proto.String("compute#zone"), Name: proto.String(name), Status: proto.String("UP"),
		Region: proto.String(link("regions/" + Region)), SelfLink: proto.String(link("zones/" + name)),
	}
}

func checkZone(name string) error {
	if !slices.Contains(Zones, name) {
		return notFound("zones/" + name)
	}
	return nil
}

func (a *API) getZone(r *http.Request) (proto.Message, error) {
	name := r.PathValue("name")
	return zone(name), checkZone(name)
}

func (a *API) listZones(*http.Request) (proto.Message, error) {
	list := &computepb.ZoneList{Kind: proto.String("compute#zoneList")}
	for _, z := range Zones {
		list.Items = append(list.Items, zone(z))
	}
	return list, nil
}

// machineTypes are those that examples use: CPUs and MiB. A host of the lab has
// the machine's own.
var machineTypes = map[string][2]int32{
	"e2-micro": {2, 1024}, "e2-small": {2, 2048}, "e2-medium": {2, 4096}, "e2-standard-2": {2, 8192},
	"e2-standard-4": {4, 16384}, "n2-standard-2": {2, 8192}, "n2-standard-4": {4, 16384}, "c3-standard-4": {4, 16384},
}

func checkMachineType(ref string) error {
	if _, ok := machineTypes[path.Base(ref)]; !ok {
		return invalid("Invalid value for field 'resource.machineType': '%s'. The referenced resource does not exist.", ref)
	}
	return nil
}

func (a *API) getMachineType(r *http.Request) (proto.Message, error) {
	name, path := r.PathValue("name"), zonePath(r, "machineTypes/")+r.PathValue("name")
	size, err := find(machineTypes, name)
	if err != nil {
		return nil, notFound(path)
	}
	return &computepb.MachineType{
		Kind: proto.String("compute#machineType"), Name: &name, GuestCpus: &size[0], MemoryMb: &size[1],
		Zone: proto.String(r.PathValue("zone")), SelfLink: proto.String(link(path)),
	}, checkZone(r.PathValue("zone"))
}

func (a *API) getDiskType(r *http.Request) (proto.Message, error) {
	name, path := r.PathValue("name"), zonePath(r, "diskTypes/")+r.PathValue("name")
	if !slices.Contains([]string{"pd-standard", "pd-balanced", "pd-ssd"}, name) {
		return nil, notFound(path)
	}
	return &computepb.DiskType{
		Kind: proto.String("compute#diskType"), Name: &name, SelfLink: proto.String(link(path)), Zone: proto.String(link("zones/" + r.PathValue("zone"))),
	}, checkZone(r.PathValue("zone"))
}
