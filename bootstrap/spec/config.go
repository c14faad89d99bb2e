package spec

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
)

// ConfigProblem says why a directive cannot stand in the user's configuration.
type ConfigProblem struct {
	// Directive is the key as the user wrote it.
	Directive string
	// Reason says what is wrong, a sentence.
	Reason string
	// Advice says what to do instead, a sentence; may be empty.
	Advice string
}

// String is the problem in one line.
func (p ConfigProblem) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s", p.Directive, p.Reason, p.Advice))
}

// CheckConfig finds the directives that the server must not or cannot be given,
// sorted by directive. Directives that exist and values that fit are the
// server's to judge: host apply asks it.
func CheckConfig(config map[string]string) []ConfigProblem {
	var problems []ConfigProblem
	seen := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		name := strings.ToLower(key)
		if other, ok := seen[name]; ok {
			problems = append(problems, ConfigProblem{key, fmt.Sprintf("This is the same directive as %q.", other),
				"Write it once, with a line per value."})
			continue
		}
		seen[name] = key
		if p, ok := checkDirective(name, config[key]); !ok {
			p.Directive = key
			problems = append(problems, p)
		}
	}
	return problems
}

// directiveName admits the names of modules' directives too ("search.timeout").
var directiveName = regexp.MustCompile(`^[a-z][a-z0-9._-]*$`)

func checkDirective(name, value string) (ConfigProblem, bool) {
	if !directiveName.MatchString(name) {
		return ConfigProblem{Reason: "This is not the name of a directive.",
			Advice: "A name is a letter followed by letters, digits, \"-\", \"_\" or \".\", and the value goes on the other side of the equals sign."}, false
	}
	if p, owned := ownedDirective(name); owned {
		return p, false
	}
	if i := strings.IndexFunc(value, controlCharacter); i >= 0 {
		return ConfigProblem{Reason: fmt.Sprintf("The value has a control character (%q) in it.", value[i]),
			Advice: `Write it as an escape in double quotes, such as "\x07".`}, false
	}
	if _, err := redisconf.Values(value); err != nil {
		return ConfigProblem{Reason: fmt.Sprintf("The value is malformed: %v.", err),
			Advice: `Inside double quotes write \" for a quote and \\ for a backslash.`}, false
	}
	return ConfigProblem{}, true
}

// controlCharacter leaves out what separates lines and words.
func controlCharacter(r rune) bool {
	return r == 0x7f || r < ' ' && r != '\n' && r != '\t' && r != '\r'
}

// ownedDirective says why the provider keeps a directive to itself.
func ownedDirective(name string) (ConfigProblem, bool) {
	switch name {
	case "port":
		return ConfigProblem{Reason: "The client port belongs to the node.", Advice: "Set port of the node instead."}, true
	case "bind", "bind-source-addr":
		return ConfigProblem{Reason: "A node listens on the address that it announces and on loopback, and nowhere else.",
			Advice: "Set address of the node instead."}, true
	case "cluster-port":
		return ConfigProblem{Reason: "The port of the cluster bus belongs to the node.", Advice: "Set bus_port of the node instead."}, true
	case "requirepass", "masterauth", "masteruser", "primaryauth", "primaryuser":
		return ConfigProblem{Reason: "A password in config would be stored in the state, in the clear.", Advice: "Set password_wo instead."}, true
	case "user", "aclfile":
		return ConfigProblem{Reason: "Passwords of users in config would be stored in the state, in the clear.",
			Advice: "Remove it: password_wo sets the password of the user default, and other users are not managed yet."}, true
	case "protected-mode":
		return ConfigProblem{Reason: "Protected mode follows from whether the cluster has a password.",
			Advice: "Set password_wo, or allow_unauthenticated = true if it shall be open."}, true
	case "cluster-enabled":
		return ConfigProblem{Reason: "Every node is a node of the cluster.", Advice: "Remove it."}, true
	case "replicaof", "slaveof":
		return ConfigProblem{Reason: "The cluster decides who replicates whom.", Advice: "Set replicas_per_shard instead."}, true
	case "dir", "cluster-config-file", "pidfile", "logfile":
		return ConfigProblem{Reason: "Every process has a directory of its own, where its data, log and state are found again.", Advice: "Remove it."}, true
	case "daemonize", "supervised":
		return ConfigProblem{Reason: "The process runs under a supervisor that is told when it is ready and restarts it.", Advice: "Remove it."}, true
	case "include":
		return ConfigProblem{Reason: "A file on the host could change directives unseen, and then differ from host to host.",
			Advice: "Put its directives into config."}, true
	case "unixsocket", "unixsocketperm":
		return ConfigProblem{Reason: "All processes of a host would share the path, and nodes of a cluster are reached by address.", Advice: "Remove it."}, true
	case "rename-command":
		return ConfigProblem{Reason: "Other nodes and this provider need the commands by their own names.",
			Advice: "Remove it."}, true
	}
	switch {
	case strings.HasPrefix(name, "tls-"):
		return ConfigProblem{Reason: "Clients, replication and the bus have to agree on TLS.",
			Advice: "Remove it: clusters with TLS are not managed yet."}, true
	case strings.HasPrefix(name, "cluster-announce-"), strings.HasPrefix(name, "replica-announce-"), strings.HasPrefix(name, "slave-announce-"):
		return ConfigProblem{Reason: "A node announces the address and ports that it has in nodes.",
			Advice: "Set address, port and bus_port of the node instead."}, true
	case name == "sentinel", strings.HasPrefix(name, "sentinel-"):
		return ConfigProblem{Reason: "A cluster fails over by itself; there is no sentinel.", Advice: "Remove it."}, true
	}
	return ConfigProblem{}, false
}
