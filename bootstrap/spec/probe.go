package spec

// HostProbe is the request of `host probe`: which of these ports can this host
// connect to? It changes nothing.
type HostProbe struct {
	Versioned
	HostName string `json:"host_name"`
	// Nodes are probed on their client port and their bus port.
	Nodes []Node `json:"nodes"`
	// Timeout bounds each connection; 0 means 3 s.
	Timeout Duration `json:"timeout,omitempty"`
}

// HostProbeResult is the result of `host probe`.
type HostProbeResult struct {
	// Closed are the ports that did not answer, in the order of the request.
	Closed []ClosedPort `json:"closed,omitempty"`
}

// ClosedPort is a port that could not be connected to.
type ClosedPort struct {
	// Node is the name of the node that should listen there.
	Node    string `json:"node"`
	Address string `json:"address"`
	Port    int    `json:"port"`
	// Refused: the host answered that nobody listens; otherwise nothing came back,
	// as a firewall has it.
	Refused bool `json:"refused,omitempty"`
	// Error is the system's word for it.
	Error string `json:"error"`
}
