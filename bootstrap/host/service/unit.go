//go:build linux

package service

import (
	"fmt"
	"slices"
	"strings"
)

// unitText renders the systemd unit of d. The process may write to its own
// directory and nowhere else.
func unitText(d Definition) string {
	kind, stop := "exec", "no"
	if d.Notify {
		kind, stop = "notify", "systemd"
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Written by redis-bootstrap. Changes made here are undone by the next apply.")
	line("[Unit]")
	line("Description=%s", specifiers(d.Description))
	// The addresses that the server binds have to be there.
	line("Wants=network-online.target")
	line("After=network-online.target")
	// A node that cannot start yet is tried for ever: nobody else would.
	line("StartLimitIntervalSec=0")
	line("")
	line("[Service]")
	line("Type=%s", kind)
	if d.Data != "" {
		// The server that somebody else started may run still, and is never joined by a second one.
		line("ExecStartPre=-+%s", quotedWords(append(slices.Clone(d.Await), d.Dir, d.Data)))
	}
	line("ExecStart=%s %s --supervised %s", quoted(d.Binary), quoted(d.Conf()), stop)
	line("WorkingDirectory=%s", specifiers(d.Dir))
	line("User=%s", d.User)
	line("Group=%s", d.Group)
	line("UMask=0077")
	line("Restart=always")
	line("RestartSec=100ms")
	// Loading a big data set, and saving it, takes the time it takes.
	line("TimeoutStartSec=infinity")
	line("TimeoutStopSec=%d", int(stopTimeout.Seconds()))
	line("LimitNOFILE=%d", d.NoFile)
	line("OOMScoreAdjust=-100")
	for _, setting := range hardening(d.directories()...) {
		line("%s", setting)
	}
	for _, dir := range d.directories() {
		line("ReadWritePaths=%s", quoted(dir))
	}
	line("")
	line("[Install]")
	line("WantedBy=multi-user.target")
	return b.String()
}

// hardening takes from the process what a Redis server has no use for.
func hardening(dirs ...string) []string {
	settings := []string{
		"NoNewPrivileges=yes",
		"CapabilityBoundingSet=",
		"ProtectSystem=strict",
		"PrivateDevices=yes",
		"ProtectControlGroups=yes",
		"ProtectKernelModules=yes",
		"ProtectKernelTunables=yes",
		"ProtectKernelLogs=yes",
		"ProtectClock=yes",
		"ProtectHostname=yes",
		"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
		"RestrictNamespaces=yes",
		"RestrictRealtime=yes",
		"RestrictSUIDSGID=yes",
		"LockPersonality=yes",
		"SystemCallArchitectures=native",
	}
	// Either would hide the process's own files where they lie below.
	if !below(dirs, "/home", "/root", "/run/user") {
		settings = append(settings, "ProtectHome=yes")
	}
	if !below(dirs, "/tmp", "/var/tmp") {
		settings = append(settings, "PrivateTmp=yes")
	}
	return settings
}

// below says whether one of dirs is in one of parents.
func below(dirs []string, parents ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return slices.ContainsFunc(parents, func(parent string) bool { return strings.HasPrefix(dir+"/", parent+"/") })
	})
}

// specifiers keeps systemd from reading a per cent sign in s as one of its own.
func specifiers(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// quoted writes s as one word of a unit file.
func quoted(s string) string {
	s = specifiers(s)
	if !strings.ContainsAny(s, " \t\"'\\$;") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `$$`).Replace(s) + `"`
}

// quotedWords are the words of a command.
func quotedWords(words []string) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = quoted(w)
	}
	return strings.Join(all, " ")
}

// unitBinary reads the program back out of what unitText wrote. Paths that need
// quotes are not read back.
func unitBinary(text string) string {
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "ExecStart="); ok {
			binary, _, _ := strings.Cut(command, " ")
			return strings.ReplaceAll(binary, "%%", "%")
		}
	}
	return ""
}
