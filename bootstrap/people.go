package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/redisconf"
	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// access are the flags of every command that logs in to a cluster. A password is
// never an argument, where other users of the host could read it.
type access struct {
	user, passwordFile, caCert, cert, key string
	tls                                   bool
}

func (a *access) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.user, "user", "", "ACL user (default: the default user)")
	f.StringVar(&a.passwordFile, "password-file", "", "file with the password in its first line; - for stdin")
	f.BoolVar(&a.tls, "tls", false, "connect with TLS")
	f.StringVar(&a.caCert, "cacert", "", "PEM file of the authority that signed the servers' certificates")
	f.StringVar(&a.cert, "cert", "", "PEM file of the client's certificate")
	f.StringVar(&a.key, "key", "", "PEM file of the client's key")
}

func (a *access) resolve(stdin io.Reader) (spec.Auth, *spec.TLS, error) {
	auth := spec.Auth{Username: a.user}
	if a.passwordFile != "" {
		text, err := readFileOrStdin(a.passwordFile, stdin)
		if err != nil {
			return auth, nil, fmt.Errorf("--password-file: %w", err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		auth.Password = spec.Secret(strings.TrimSuffix(line, "\r"))
	}
	if !a.tls {
		return auth, nil, nil
	}
	t := &spec.TLS{}
	for _, file := range []struct {
		path string
		set  func(string)
	}{
		{a.caCert, func(s string) { t.CACert = s }},
		{a.cert, func(s string) { t.Cert = s }},
		{a.key, func(s string) { t.Key = spec.Secret(s) }},
	} {
		if file.path == "" {
			continue
		}
		text, err := os.ReadFile(file.path)
		if err != nil {
			return auth, nil, err
		}
		file.set(string(text))
	}
	return auth, t, nil
}

func readFileOrStdin(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(path)
}

// credentials fills in the password of auth from the redis.conf that it names, if it names one.
func credentials(auth spec.Auth) (spec.Auth, error) {
	if auth.FromHost == nil {
		return auth, nil
	}
	path := auth.FromHost.ConfFile(auth.FromHost.Port)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		// All processes of a cluster have the same, and this one's may have been deleted.
		others, _ := filepath.Glob(filepath.Join(auth.FromHost.ClusterDir(), "*", filepath.Base(path)))
		for _, other := range others {
			if read, readErr := os.ReadFile(other); readErr == nil {
				path, text, err = other, read, nil
			}
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody else's cluster that is still to be taken over.
		if file, conf := redisconf.Find(auth.FromHost.Port); file != "" {
			password, _ := conf.Lookup("requirepass")
			auth.FromHost, auth.Password = nil, spec.Secret(password)
			return auth, nil
		}
	}
	if err != nil {
		return auth, &spec.Failure{Step: "read the password", Cause: err.Error(),
			Advice: "The cluster's files on this host are gone or unreadable. Apply again to put them back."}
	}
	conf, err := redisconf.Parse(string(text))
	if err != nil {
		return auth, &spec.Failure{Step: "read the password", Cause: fmt.Sprintf("%s: %v", path, err)}
	}
	password, _ := conf.Lookup("requirepass")
	auth.FromHost, auth.Password = nil, spec.Secret(password)
	return auth, nil
}

// someNodes wants the address of a node at least.
func someNodes(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no node is given: %s host:port…", cmd.CommandPath())
	}
	return nil
}

// parseNodes reads host:port arguments. A name is resolved, since nodes are
// introduced to each other by address.
func parseNodes(args []string) ([]spec.Node, error) {
	var nodes []spec.Node
	for _, arg := range args {
		host, portText, err := net.SplitHostPort(arg)
		if err != nil {
			return nil, fmt.Errorf("%q is not host:port", arg)
		}
		port, err := strconv.Atoi(portText)
		if err != nil || port < 1 || port > 65535 {
			return nil, fmt.Errorf("%q: the port is not a number from 1 to 65535", arg)
		}
		addresses, err := net.LookupHost(host)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, spec.Node{Name: arg, Address: addresses[0], Port: port, Host: addresses[0]})
	}
	return nodes, nil
}

// plainLog logs messages as lines for people.
func plainLog(w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{JSONFormat: true, Output: plainLines{w}, Level: hclog.Info})
}

// plainLines turns hclog's JSON lines into their messages.
type plainLines struct{ w io.Writer }

func (p plainLines) Write(line []byte) (int, error) {
	var entry struct {
		Message string `json:"@message"`
	}
	if err := json.Unmarshal(line, &entry); err != nil {
		return p.w.Write(line)
	}
	if _, err := fmt.Fprintln(p.w, entry.Message); err != nil {
		return 0, err
	}
	return len(line), nil
}
