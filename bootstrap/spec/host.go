package spec

// HostApply is the request of `redis-bootstrap host apply`: make this host run
// exactly these processes of this cluster.
type HostApply struct {
	Versioned
	Place
	// HostName is how the user calls this host; it stands in errors and progress.
	HostName string `json:"host_name"`
	// Nodes are the processes that this host runs, at least one.
	Nodes  []Node `json:"nodes"`
	Server Server `json:"server"`
	// Config holds the user's redis.conf directives, checked by CheckConfig. A
	// value with several lines becomes the directive several times (save).
	Config map[string]string `json:"config,omitempty"`
	// Password is set as requirepass and masterauth. With KeepPassword the
	// password in the redis.conf that is there stays, whatever it is: Terraform
	// hands a write-only value over only when it may have changed.
	Password     Secret `json:"password,omitempty"`
	KeepPassword bool   `json:"keep_password,omitempty"`
	// AllowUnauthenticated turns protected mode off on a cluster without a password.
	AllowUnauthenticated bool `json:"allow_unauthenticated,omitempty"`
	// TuneOS sets the kernel parameters that Redis asks for, where they can be written.
	TuneOS bool `json:"tune_os,omitempty"`
	// Hold names nodes that were members of a cluster: their processes are not
	// started if they would start without data, for the cluster has to do without
	// them first. Their redis.conf is written all the same.
	Hold []string `json:"hold,omitempty"`
	// Adopt has running members that somebody else started taken over, by
	// address:port and node id, without a restart where that can be.
	Adopt map[string]string `json:"adopt,omitempty"`
	// DryRun reports what would change and touches nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// Flavor is a server implementation.
type Flavor string

// The flavors.
const (
	FlavorRedis  Flavor = "redis"
	FlavorValkey Flavor = "valkey"
)

// Install is how the server gets onto a host.
type Install string

// The ways to install.
const (
	InstallPackage      Install = "package"
	InstallSource       Install = "source"
	InstallPreinstalled Install = "preinstalled"
)

// Server says which server to run.
type Server struct {
	Flavor  Flavor  `json:"flavor"`
	Install Install `json:"install"`
	// Version is the wanted version, or its beginning ("7.0"); empty means any.
	Version string `json:"version,omitempty"`
	// SourceURL and SHA256 name the tarball for InstallSource.
	SourceURL string `json:"source_url,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
	// Path is the program to run for InstallPreinstalled, absolute; empty means
	// the one that is found in PATH or where packages put it.
	Path string `json:"path,omitempty"`
}

// HostResult is the result of `host apply` and `host inspect`.
type HostResult struct {
	Facts Facts `json:"facts"`
	// Changes are what was done, or with DryRun what would be done, in order.
	Changes []Change `json:"changes,omitempty"`
	// Processes has an entry per node of the request.
	Processes []Process `json:"processes"`
	// Warnings are what could not be done and does not stop the cluster
	// (a kernel parameter that is read-only here).
	Warnings []string `json:"warnings,omitempty"`
}

// Facts is what a host says about itself.
type Facts struct {
	Hostname string `json:"hostname"`
	// OS and OSVersion are ID and VERSION_ID of /etc/os-release.
	OS        string `json:"os"`
	OSVersion string `json:"os_version"`
	Kernel    string `json:"kernel"`
	// Arch is GOARCH of the binary that runs.
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"`
	// MemoryBytes is MemTotal.
	MemoryBytes int64 `json:"memory_bytes"`
	// Systemd says whether systemd is PID 1 and reachable with our rights.
	Systemd bool `json:"systemd"`
	Root    bool `json:"root"`
	// ServerBinary and ServerVersion describe the redis-server that is used; empty if there is none.
	ServerBinary  string `json:"server_binary,omitempty"`
	ServerVersion string `json:"server_version,omitempty"`
	// UnixTimeMS is the host's clock, milliseconds since the epoch.
	UnixTimeMS int64 `json:"unix_time_ms"`
}

// Change is one thing that differs between a host and its request.
type Change struct {
	// Node is the process concerned; empty if it is the host.
	Node string `json:"node,omitempty"`
	// What says it in words: "install redis-server 7.0.15", "set maxmemory 1gb live".
	What string `json:"what"`
	// Restart says that the process has to be restarted for it.
	Restart bool `json:"restart,omitempty"`
}

// Process is the state of one Redis process on its host.
type Process struct {
	Node string `json:"node"`
	Port int    `json:"port"`
	// State is "running", "stopped" or "absent".
	State string `json:"state"`
	// PID is the server's process id while it runs.
	PID int `json:"pid,omitempty"`
	// ConfSHA256 is the hash of its redis.conf without the secrets in it.
	ConfSHA256 string `json:"conf_sha256,omitempty"`
	// RestartNeeded says that redis.conf was changed in a way that the running
	// process takes up only when it is restarted.
	RestartNeeded bool `json:"restart_needed,omitempty"`
	// Held says that the process was not started, as the request's Hold asks.
	Held bool `json:"held,omitempty"`
}

// HostInspect is the request of `host inspect`: what is there of these processes? It changes nothing.
type HostInspect struct {
	Versioned
	Place
	HostName string `json:"host_name"`
	Nodes    []Node `json:"nodes"`
}

// HostRemove is the request of `host remove`: stop these processes and delete
// their services, files and data. With All the cluster's directory goes too.
type HostRemove struct {
	Versioned
	Place
	HostName string `json:"host_name"`
	Nodes    []Node `json:"nodes"`
	All      bool   `json:"all,omitempty"`
}

// HostRemoveResult is the result of `host remove`.
type HostRemoveResult struct {
	// Removed are the paths and units that are gone, for the log.
	Removed []string `json:"removed"`
}

// HostCredentials is the request of `host credentials`: the password of the
// process, from its redis.conf. The result is an Auth. It lets a runner that is
// no host of the cluster log in; the secret passes through the provider's
// memory from stdout to stdin and is kept nowhere.
type HostCredentials struct {
	Versioned
	ConfRef
}

// FaultKind is a way to break something.
type FaultKind string

// The kinds of fault. VM faults are done through the cloud's API, not on the host.
const (
	// FaultStop stops the process in an orderly way (SIGTERM through its service).
	FaultStop FaultKind = "stop"
	// FaultKill kills it with SIGKILL and keeps it from coming back until recovery.
	FaultKill FaultKind = "kill"
	// FaultPause freezes it with SIGSTOP.
	FaultPause FaultKind = "pause"
	// FaultIsolate cuts its client and bus ports off from other hosts.
	FaultIsolate FaultKind = "isolate"
	FaultVMStop  FaultKind = "vm_stop"
	FaultVMReset FaultKind = "vm_reset"
)

// HostFault is the request of `host fault`: break one process, wait, and mend
// it. The request stays open on stdin: when stdin ends early the fault is
// mended at once. A watchdog process on the host mends it too, should this one die.
type HostFault struct {
	Versioned
	Place
	HostName string    `json:"host_name"`
	Node     Node      `json:"node"`
	Kind     FaultKind `json:"kind"`
	// RecoverAfter is how long the fault lasts.
	RecoverAfter Duration `json:"recover_after"`
}

// FaultEvent is one line on stdout of `host fault`, written when it happens.
type FaultEvent struct {
	// Event is "injected", at the moment at which the fault begins (an orderly
	// stop takes a while), or "recovered", when it has been mended.
	Event string `json:"event"`
	// UnixTimeMS is the host's clock at the event.
	UnixTimeMS int64 `json:"unix_time_ms"`
}
