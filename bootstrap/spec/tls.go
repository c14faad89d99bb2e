package spec

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLS is how to reach nodes that serve TLS.
type TLS struct {
	// CACert is the PEM bundle that the server's certificate is verified with.
	CACert string `json:"ca_cert,omitempty"`
	// ServerName overrides the name to verify; empty means the address.
	ServerName string `json:"server_name,omitempty"`
	// Cert and Key are the client's certificate and key, PEM; both or neither.
	Cert string `json:"cert,omitempty"`
	Key  Secret `json:"key,omitempty"`
}

// Config is t as Go's TLS takes it; nil, for no TLS, if t is nil. It fails on
// PEM that holds no certificate, or a key that does not belong to it.
func (t *TLS) Config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	conf := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CACert != "" {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM([]byte(t.CACert)) {
			return nil, errors.New("tls: ca_cert holds no PEM certificate")
		}
	}
	if t.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(t.Cert), []byte(t.Key.Reveal()))
		if err != nil {
			return nil, fmt.Errorf("tls: client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}
