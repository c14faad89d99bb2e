package spec

// HostFind is the request of `host find`: which servers that somebody else
// started serve these ports, and how are they configured? It changes nothing.
type HostFind struct {
	Versioned
	HostName string `json:"host_name"`
	Ports    []int  `json:"ports"`
}

// HostFound is the result of `host find`.
type HostFound struct {
	// Processes has an entry per port.
	Processes []Found `json:"processes"`
}

// Found is a server that somebody else started.
type Found struct {
	Port int `json:"port"`
	// ID is its node id.
	ID string `json:"id"`
	// Server is the one that runs; its path only where it is not the one that would be found without.
	Server Server `json:"server"`
	// Config holds the directives that differ from what a process of ours would
	// have by default, without those that the provider owns.
	Config map[string]string `json:"config,omitempty"`
	// Password says that it wants one, Open that it lets other hosts in without.
	Password bool `json:"password,omitempty"`
	Open     bool `json:"open,omitempty"`
}
