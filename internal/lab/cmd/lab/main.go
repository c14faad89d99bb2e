//go:build linux

// Command lab keeps a lab running for people: up, down, shell, list, clean.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := newRootCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "lab",
		Short:         "Hosts with systemd and sshd on this machine, to try things on",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	name := root.PersistentFlags().String("name", "default", "which lab")
	root.AddCommand(newUpCommand(name), newHoldCommand(name), newDownCommand(name), newShellCommand(name), newListCommand(), newCleanCommand())
	return root
}

// ready is the line with which the holder says that the lab is up.
const ready = "lab is up"

func newUpCommand(name *string) *cobra.Command {
	hosts, image := 6, string(lab.Bookworm)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Boot a lab and leave it running",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return up(cmd.Context(), cmd.OutOrStdout(), *name, fmt.Sprint("--hosts=", hosts), "--image="+image)
		},
	}
	lengthen(cmd, &hosts, &image)
	return cmd
}

func lengthen(cmd *cobra.Command, hosts *int, image *string) {
	cmd.Flags().IntVar(hosts, "hosts", *hosts, "how many hosts to boot")
	cmd.Flags().StringVar(image, "image", *image, "what they boot: bookworm, trixie or another Debian suite")
}

// up starts a process that holds the lab, and passes on what it says until the lab is up.
func up(ctx context.Context, out io.Writer, name string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	said, say, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = said.Close() }()
	holder := exec.Command(self, append([]string{"hold", "--name=" + name}, args...)...)
	holder.Stdout, holder.Stderr = say, say
	holder.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := holder.Start(); err != nil {
		return err
	}
	_ = say.Close()
	defer context.AfterFunc(ctx, func() { _ = holder.Process.Signal(syscall.SIGTERM) })()
	up := false
	for lines := bufio.NewScanner(said); !up && lines.Scan(); {
		up = lines.Text() == ready
		_, _ = fmt.Fprintln(out, lines.Text())
	}
	if up {
		return nil
	}
	return fmt.Errorf("no lab: %w", holder.Wait())
}

func newHoldCommand(name *string) *cobra.Command {
	hosts, image := 6, string(lab.Bookworm)
	cmd := &cobra.Command{
		Use:    "hold",
		Short:  "Boot a lab and keep it until a signal comes",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return hold(cmd.Context(), lab.Options{Name: *name, Hosts: hosts, Image: lab.Image(image), Log: cmd.OutOrStdout()})
		},
	}
	lengthen(cmd, &hosts, &image)
	return cmd
}

func hold(ctx context.Context, o lab.Options) error {
	// `up` reads what we say until the lab is up; nobody does afterwards.
	signal.Ignore(syscall.SIGPIPE)
	l, err := lab.Start(ctx, o)
	if err != nil {
		return err
	}
	keys := filepath.Join(l.Dir(), "ssh")
	if err := writeSSH(keys, l); err != nil {
		return fmt.Errorf("%w; %w", err, l.Close())
	}
	for _, h := range l.Hosts {
		_, _ = fmt.Fprintf(o.Log, "%-12s %s\n", h.Name, h.Addr)
	}
	_, _ = fmt.Fprintf(o.Log, "log in from `make lab-shell`: ssh -F %s/config vm-1\n%s\n", keys, ready)
	<-ctx.Done()
	return l.Close()
}

// writeSSH writes what the ssh command needs to log in to the lab's hosts.
func writeSSH(dir string, l *lab.Lab) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	var config, known strings.Builder
	for _, h := range l.Hosts {
		_, _ = fmt.Fprintf(&known, "%s %s\n", h.Addr, h.HostKey)
		_, _ = fmt.Fprintf(&config, "Host %s\n  HostName %s\n", h.Name, h.Addr)
	}
	_, _ = fmt.Fprintf(&config, "Host *\n  User %s\n  IdentityFile %s/key\n  UserKnownHostsFile %[2]s/known_hosts\n", lab.Admin, dir)
	for file, text := range map[string]string{"key": l.Key.Private, "known_hosts": known.String(), "config": config.String()} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func newDownCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the lab, and what labs that crashed have left",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			if r, err := find(*name); err == nil {
				if err := r.End(ctx); err != nil {
					return err
				}
			}
			return lab.Sweep(ctx)
		},
	}
}

func find(name string) (lab.Record, error) {
	records, err := lab.Records()
	if err != nil {
		return lab.Record{}, err
	}
	for _, r := range records {
		if r.Name == name {
			return r, nil
		}
	}
	return lab.Record{}, fmt.Errorf("no lab %q runs; `make lab-up` starts one", name)
}

func newShellCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "shell [-- COMMAND ARGUMENT…]",
		Short: "Open a shell (or run a command) on this machine in the lab's network",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := find(*name)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"bash"}
			}
			c := exec.Command("nsenter", append([]string{"--net", "--target", fmt.Sprint(r.Init.PID), "--"}, args...)...)
			c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
			return c.Run()
		},
	}
}

func newListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the labs of this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			records, err := lab.Records()
			for _, r := range records {
				state := "running"
				if !r.Owner.Running() {
					state = "crashed"
				}
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%-24s %s\n", r.Name, state)
			}
			return err
		},
	}
}

func newCleanCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Delete the cached images and packages",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return lab.CleanCache() },
	}
}
