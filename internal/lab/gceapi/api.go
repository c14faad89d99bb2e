//go:build linux

// Package gceapi serves as much of the Compute Engine API as Terraform's google
// provider and Google's own client need to manage instances, networks and
// firewall rules. An instance is a host of the lab, and really boots; a firewall
// rule is really enforced.
package gceapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

// The one project, region and its zones. A request may name any project: it gets
// the same resources.
const (
	Project = "lab"
	Region  = "us-central1"
	// Token is the access token that requests have to carry.
	Token = "lab"
	// Port is where Start serves, on the lab's bridge.
	Port = "8080"
)

// Zones are the zones of the region.
var Zones = []string{"us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f"}

// Endpoint is the API's address in the lab, as compute_custom_endpoint takes it.
const Endpoint = "http://" + lab.Bridge + ":" + Port + "/compute/v1/"

// origin begins every self link, as Google's do, wherever the API is served.
const origin = "https://www.googleapis.com/compute/v1/"

// API is the state of the cloud.
type API struct {
	lab *lab.Lab
	mux *http.ServeMux
	// ctx ends what operations do, with Close.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	// filtering is held while the packet filter is written, so that the last
	// state is what stays.
	filtering sync.Mutex

	mu     sync.Mutex
	nextID uint64
	// Resources by path: "zones/us-central1-a/instances/a".
	instances  map[string]*instance
	networks   map[string]*network
	subnets    map[string]*subnetwork
	firewalls  map[string]*firewall
	operations map[string]*operation
}

// New makes a cloud with a default network on l, as every project has one.
func New(l *lab.Lab) *API {
	a := &API{
		lab: l, mux: http.NewServeMux(), nextID: 4_000_000_000_000_000_000,
		instances: make(map[string]*instance), networks: make(map[string]*network), subnets: make(map[string]*subnetwork),
		firewalls: make(map[string]*firewall), operations: make(map[string]*operation),
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.routes()
	a.addDefaultNetwork()
	return a
}

// Start serves a new API at Endpoint. It ends with Close, which has to come
// before the lab's.
func Start(l *lab.Lab) (*API, error) {
	a := New(l)
	if err := l.Serve(net.JoinHostPort(lab.Bridge, Port), a); err != nil {
		a.cancel()
		return nil, err
	}
	return a, nil
}

// Close ends operations that are under way. Hosts stay.
func (a *API) Close() {
	a.cancel()
	a.work.Wait()
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+Token {
		reply(w, nil, &apiError{http.StatusUnauthorized, "authError", "Request had invalid authentication credentials."})
		return
	}
	a.mux.ServeHTTP(w, r)
}

// routes lists every call that is served.
func (a *API) routes() {
	const project, zone, region = "/compute/v1/projects/{project}", "/compute/v1/projects/{project}/zones/{zone}", "/compute/v1/projects/{project}/regions/{region}"
	a.get(project, a.getProject)
	a.get(project+"/global/images/{name}", a.getImage)
	a.get(project+"/global/images/family/{family}", a.getImageFamily)
	a.get(project+"/regions/{name}", a.getRegion)
	a.get(project+"/zones", a.listZones)
	a.get(project+"/zones/{name}", a.getZone)
	a.get(zone+"/machineTypes/{name}", a.getMachineType)
	a.get(zone+"/diskTypes/{name}", a.getDiskType)
	a.get(zone+"/disks/{name}", a.getDisk)

	for _, scope := range []string{project + "/global", region, zone} {
		a.get(scope+"/operations/{name}", a.getOperation)
		a.post(scope+"/operations/{name}/wait", a.waitOperation)
	}

	a.get(zone+"/instances", a.listInstances)
	a.get(zone+"/instances/{name}", a.getInstance)
	a.post(zone+"/instances", a.insertInstance)
	a.handle("DELETE "+zone+"/instances/{name}", a.deleteInstance)
	a.post(zone+"/instances/{name}/setMetadata", a.setMetadata)
	a.post(zone+"/instances/{name}/setTags", a.setTags)
	a.post(zone+"/instances/{name}/setLabels", a.setLabels)
	a.post(zone+"/instances/{name}/setMachineType", a.setMachineType)
	a.post(zone+"/instances/{name}/start", a.startInstance)
	a.post(zone+"/instances/{name}/stop", a.stopInstance)
	a.post(zone+"/instances/{name}/reset", a.resetInstance)
	a.get(zone+"/instances/{name}/serialPort", a.getSerialPort)
	a.get(zone+"/instances/{name}/getGuestAttributes", a.getGuestAttributes)
	a.get(zone+"/instances/{name}/getEffectiveFirewalls", a.getEffectiveFirewalls)

	a.get(project+"/global/networks", a.listNetworks)
	a.get(project+"/global/networks/{name}", a.getNetwork)
	a.post(project+"/global/networks", a.insertNetwork)
	a.handle("PATCH "+project+"/global/networks/{name}", a.patchNetwork)
	a.handle("DELETE "+project+"/global/networks/{name}", a.deleteNetwork)
	a.get(region+"/subnetworks", a.listSubnetworks)
	a.get(region+"/subnetworks/{name}", a.getSubnetwork)
	a.post(region+"/subnetworks", a.insertSubnetwork)
	a.handle("PATCH "+region+"/subnetworks/{name}", a.patchSubnetwork)
	a.post(region+"/subnetworks/{name}/setPrivateIpGoogleAccess", a.setPrivateIPGoogleAccess)
	a.handle("DELETE "+region+"/subnetworks/{name}", a.deleteSubnetwork)
	a.get(project+"/global/firewalls", a.listFirewalls)
	a.get(project+"/global/firewalls/{name}", a.getFirewall)
	a.post(project+"/global/firewalls", a.insertFirewall)
	a.handle("PATCH "+project+"/global/firewalls/{name}", a.patchFirewall)
	a.handle("DELETE "+project+"/global/firewalls/{name}", a.deleteFirewall)
}

// handler answers one call. It runs with a.mu held.
type handler func(r *http.Request) (proto.Message, error)

func (a *API) get(path string, h handler)  { a.handle("GET "+path, h) }
func (a *API) post(path string, h handler) { a.handle("POST "+path, h) }

func (a *API) handle(pattern string, h handler) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		m, err := h(r)
		a.mu.Unlock()
		reply(w, m, err)
	})
}

// apiError is an error as the API words it.
type apiError struct {
	code    int
	reason  string
	message string
}

func (e *apiError) Error() string { return e.message }

func notFound(path string) error {
	return &apiError{http.StatusNotFound, "notFound", fmt.Sprintf("The resource 'projects/%s/%s' was not found", Project, path)}
}

func conflict(path string) error {
	return &apiError{http.StatusConflict, "alreadyExists", fmt.Sprintf("The resource 'projects/%s/%s' already exists", Project, path)}
}

func invalid(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "invalid", fmt.Sprintf(format, args...)}
}

func inUse(path, by string) error {
	return &apiError{http.StatusBadRequest, "resourceInUseByAnotherResource",
		fmt.Sprintf("The %s resource 'projects/%s/%s' is already being used by '%s'", kindOf(path), Project, path, by)}
}

func kindOf(path string) string {
	parts := strings.Split(path, "/")
	return strings.TrimSuffix(parts[len(parts)-2], "s")
}

// reply writes m, or err in the form that Google's clients read.
func reply(w http.ResponseWriter, m proto.Message, err error) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if err != nil {
		e := new(apiError)
		if !errors.As(err, &e) {
			e = &apiError{http.StatusInternalServerError, "backendError", err.Error()}
		}
		w.WriteHeader(e.code)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
			"code": e.code, "message": e.message,
			"errors": []map[string]string{{"message": e.message, "domain": "global", "reason": e.reason}},
		}})
		return
	}
	b, err := protojson.Marshal(m)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(b)
}

// body reads a request into m.
func body[M proto.Message](r *http.Request, m M) (M, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return m, err
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return m, invalid("Invalid JSON payload received. %v", err)
	}
	return m, nil
}

// link is the self link of a path.
func link(path string) string { return origin + "projects/" + Project + "/" + path }

// pathOf is the path that a self link, a partial one, or a name of a resource of
// this collection means.
func pathOf(ref, collection string) string {
	if _, after, ok := strings.Cut(ref, "/projects/"); ok {
		ref = "projects/" + after
	}
	if rest, ok := strings.CutPrefix(ref, "projects/"); ok {
		_, path, _ := strings.Cut(rest, "/")
		return path
	}
	if strings.Contains(ref, "/") {
		return ref
	}
	return collection + "/" + ref
}

func zonePath(r *http.Request, collection string) string {
	return "zones/" + r.PathValue("zone") + "/" + collection
}

func subnetsPath(r *http.Request) string { return "regions/" + r.PathValue("region") + "/subnetworks/" }

// find gives the resource at path.
func find[R any](all map[string]R, path string) (R, error) {
	r, ok := all[path]
	if !ok {
		return r, notFound(path)
	}
	return r, nil
}

// under gives the resources whose path begins with prefix, in order.
func under[R any](all map[string]R, prefix string) []R {
	var found []R
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(path, prefix) {
			found = append(found, all[path])
		}
	}
	return found
}

// id gives ids as Google does: large, and never again the same.
func (a *API) id() *uint64 {
	a.nextID += 7_919
	return proto.Uint64(a.nextID)
}
