package spec

import (
	"fmt"
	"net"
	"path"
	"strconv"
)

// Slots is the number of hash slots of every Redis Cluster.
const Slots = 16384

// BusPortOffset is added to the client port to get the default port of the cluster bus.
const BusPortOffset = 10000

// Node is one Redis process of a cluster.
type Node struct {
	// Name is the node's name in the user's configuration. It is what errors and
	// plans call the node, and it is unique within the cluster.
	Name string `json:"name"`
	// Address is the IP address that the node announces to clients and to the bus.
	Address string `json:"address"`
	// Port is the client port, 1–65535.
	Port int `json:"port"`
	// BusPort is the port of the cluster bus, 1–65535.
	BusPort int `json:"bus_port"`
	// Host names the machine (the failure domain) the node runs on. A primary and
	// its replica are not put on one Host where that can be avoided.
	Host string `json:"host"`
	// Zone names the zone of Host; empty if it is unknown.
	Zone string `json:"zone,omitempty"`
}

// Addr is address:port, the form in which go-redis, redis-cli and MOVED name a node.
func (n Node) Addr() string { return net.JoinHostPort(n.Address, strconv.Itoa(n.Port)) }

// Place is where a process of a cluster has its files on its host.
type Place struct {
	// BaseDir is the directory of all clusters on a host.
	BaseDir string `json:"base_dir"`
	// Cluster is the cluster's name.
	Cluster string `json:"cluster"`
}

// ClusterDir is the directory of this cluster on a host.
func (p Place) ClusterDir() string { return path.Join(p.BaseDir, p.Cluster) }

// ProcessDir is the directory of the process that serves port: its redis.conf,
// nodes.conf, data, log and pid files.
func (p Place) ProcessDir(port int) string { return path.Join(p.ClusterDir(), strconv.Itoa(port)) }

// ConfFile is the redis.conf of the process that serves port.
func (p Place) ConfFile(port int) string { return path.Join(p.ProcessDir(port), "redis.conf") }

// Unit is the name of the systemd unit of the process that serves port.
func (p Place) Unit(port int) string { return fmt.Sprintf("redis-%s-%d.service", p.Cluster, port) }

// Auth is how to log in to the nodes of a cluster.
type Auth struct {
	// Username is the ACL user; empty means "default".
	Username string `json:"username,omitempty"`
	// Password is the user's password; empty means that no AUTH is sent.
	Password Secret `json:"password,omitempty"`
	// FromHost, if set, has redis-bootstrap read the password from the redis.conf
	// of this process on the host it runs on. The provider uses it wherever
	// Terraform gives it no write-only values: read, import and destroy.
	FromHost *ConfRef `json:"from_host,omitempty"`
}

// ConfRef names the redis.conf of one process.
type ConfRef struct {
	Place
	// Port is the client port of the process.
	Port int `json:"port"`
}
