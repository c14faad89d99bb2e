package spec

// ClusterApply is the request of `redis-bootstrap cluster apply`: bring the
// running processes into the wanted topology, and verify it on every node.
type ClusterApply struct {
	Versioned
	Name string `json:"name"`
	// Place is where this host has its processes of the cluster: one request at a
	// time changes it from there, and the next one waits. Nil waits for nobody.
	Place *Place `json:"place,omitempty"`
	// Nodes are the wanted members. All their processes run already.
	Nodes []Node `json:"nodes"`
	// Former are nodes that were members and shall leave; they may be unreachable or gone.
	Former           []Node `json:"former,omitempty"`
	ReplicasPerShard int    `json:"replicas_per_shard"`
	// SpareReplicas is how many shards, fewer than all, have one replica more.
	SpareReplicas int  `json:"spare_replicas,omitempty"`
	Auth          Auth `json:"auth"`
	TLS           *TLS `json:"tls,omitempty"`
	// Restart names nodes whose process has to be restarted for its new
	// configuration: one at a time, replicas first, primaries after a failover.
	// Their service brings them back when they shut down.
	Restart []string `json:"restart,omitempty"`
	// Absent names nodes whose processes do not run yet and will start without
	// data. Only with PlanOnly, and for `cluster relieve`, may there be any.
	Absent []string `json:"absent,omitempty"`
	// Create says that the cluster is not known to exist yet: nodes that hold keys are refused.
	Create bool `json:"create,omitempty"`
	// AcceptDataLoss permits giving slots whose every copy is lost to other nodes, empty.
	AcceptDataLoss bool `json:"accept_data_loss,omitempty"`
	// PlanOnly stops after the plan: the result holds the steps, nothing is touched.
	PlanOnly bool `json:"plan_only,omitempty"`
}

// ClusterResult is the result of `cluster apply`.
type ClusterResult struct {
	// Steps are the steps done, or with PlanOnly those that would be done, in words.
	Steps []string `json:"steps"`
	// Work counts what the steps do.
	Work ClusterWork `json:"work"`
	// InAll is Work in words; empty if there is none.
	InAll  string        `json:"in_all,omitempty"`
	Status ClusterStatus `json:"status"`
}

// ClusterWork counts what a change of a cluster does.
type ClusterWork struct {
	// Slots that are moved between shards, with about so many Keys and Bytes.
	Slots int   `json:"slots"`
	Keys  int64 `json:"keys"`
	Bytes int64 `json:"bytes"`
	// Restarts of nodes and planned or forced Failovers of shards.
	Restarts  int `json:"restarts"`
	Failovers int `json:"failovers"`
}

// ClusterInspect is the request of `cluster inspect`: what is this cluster's state? It changes nothing.
type ClusterInspect struct {
	Versioned
	// Nodes are asked, all of them, in parallel. With Discover the members that
	// they name are asked too.
	Nodes    []Node `json:"nodes"`
	Discover bool   `json:"discover,omitempty"`
	Auth     Auth   `json:"auth"`
	TLS      *TLS   `json:"tls,omitempty"`
}

// Health sums a cluster up in a word.
type Health string

// The healths, best first.
const (
	// HealthOK: every slot is served, every member is there and every view agrees.
	HealthOK Health = "ok"
	// HealthDegraded: every slot is served, but something is missing or disagrees.
	HealthDegraded Health = "degraded"
	// HealthDown: some slots are not served.
	HealthDown Health = "down"
	// HealthUnreachable: no node answered, so nothing is known. The cluster may be well.
	HealthUnreachable Health = "unreachable"
)

// ClusterStatus is the state of a cluster as all its nodes together see it.
type ClusterStatus struct {
	Health Health `json:"health"`
	// Problems says what is wrong, a sentence each, naming the node.
	Problems []string `json:"problems"`
	// Shards in the order of their first slot.
	Shards []Shard `json:"shards"`
	// Nodes in the order of the request, then others by address.
	Nodes []NodeStatus `json:"nodes"`
	// SlotsAssigned of 16384 have an owner; SlotsOK of them have one that is not failing.
	SlotsAssigned int `json:"slots_assigned"`
	SlotsOK       int `json:"slots_ok"`
	// CurrentEpoch is the highest epoch that any node has seen.
	CurrentEpoch int64 `json:"current_epoch"`
	// ServerVersion is the version that all nodes run; where they differ, all of them, lowest first, with ", " between.
	ServerVersion string `json:"server_version"`
	// ServerFlavor is "redis" or "valkey".
	ServerFlavor string `json:"server_flavor"`
}

// Shard is one primary, its replicas, and the slots they serve.
type Shard struct {
	// Slots in Redis's own notation: "0-5460" or "0-99 200".
	Slots     string `json:"slots"`
	SlotCount int    `json:"slot_count"`
	// Primary and Replicas are names of nodes (addresses, where a node has no name).
	Primary  string   `json:"primary"`
	Replicas []string `json:"replicas"`
	// Keys is the primary's key count.
	Keys int64 `json:"keys"`
}

// NodeStatus is the state of one node.
type NodeStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// BusPort is the port of its cluster bus, as the other nodes know it; 0 if that is not known.
	BusPort int `json:"bus_port,omitempty"`
	// ID is the node id of 40 hex digits; empty if it did not answer.
	ID string `json:"id,omitempty"`
	// Reachable says whether it answered.
	Reachable bool `json:"reachable"`
	// Error says why it did not.
	Error string `json:"error,omitempty"`
	// Role is "primary" or "replica".
	Role string `json:"role,omitempty"`
	// Primary is the name of a replica's primary.
	Primary string `json:"primary,omitempty"`
	// LinkUp says whether a replica's link to its primary is up.
	LinkUp bool `json:"link_up,omitempty"`
	// Slots that it owns, in Redis's own notation.
	Slots string `json:"slots,omitempty"`
	// State is the node's own cluster_state: "ok" or "fail".
	State         string `json:"state,omitempty"`
	ConfigEpoch   int64  `json:"config_epoch,omitempty"`
	ServerVersion string `json:"server_version,omitempty"`
	Keys          int64  `json:"keys,omitempty"`
	UsedMemory    int64  `json:"used_memory,omitempty"`
	ReplOffset    int64  `json:"repl_offset,omitempty"`
	UptimeSeconds int64  `json:"uptime_seconds,omitempty"`
}
