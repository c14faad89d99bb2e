package gce

import (
	"fmt"
	"strings"
)

// Ref names an instance.
type Ref struct {
	Project, Zone, Name string
}

// String is the instance's relative resource name.
func (r Ref) String() string {
	return "projects/" + r.Project + "/zones/" + r.Zone + "/instances/" + r.Name
}

// ParseRef reads a self link or an id as google_compute_instance gives them:
// https://www.googleapis.com/compute/v1/projects/P/zones/Z/instances/N,
// projects/P/zones/Z/instances/N, or zones/Z/instances/N in project.
func ParseRef(link, project string) (Ref, error) {
	path := link
	if i := strings.Index(path, "projects/"); i >= 0 {
		path = path[i:]
	} else if i := strings.Index(path, "zones/"); i == 0 && project != "" {
		path = "projects/" + project + "/" + path
	}
	parts := strings.Split(path, "/")
	const length = 6
	if len(parts) != length || parts[0] != "projects" || parts[2] != "zones" || parts[4] != "instances" ||
		parts[1] == "" || parts[3] == "" || parts[5] == "" {
		return Ref{}, fmt.Errorf("%q is no self link of a Compute Engine instance, such as projects/P/zones/Z/instances/N; use google_compute_instance.NAME.self_link", link)
	}
	return Ref{Project: parts[1], Zone: parts[3], Name: parts[5]}, nil
}
