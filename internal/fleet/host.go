package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
	"github.com/redisfleet/terraform-provider-redis/internal/embedded"
	"github.com/redisfleet/terraform-provider-redis/internal/reach"
)

// Host is a machine that has been reached. It is safe for concurrent use.
type Host struct {
	Machine
	conn     reach.Host
	builds   *embedded.Builds
	progress *Progress
	// borrow has the binary lie in memory instead of BaseDir.
	borrow bool

	mu sync.Mutex
	// bin is the path of redis-bootstrap there, once it is known to be this build.
	bin string
	// facts are what the host said of itself, as choose takes them; nil if it was not asked yet.
	facts []string
	// lent is the file that holds the binary, if it was borrowed.
	lent *os.File
	// skew is how far the host's clock is ahead of ours, as far as is known.
	skew time.Duration
}

// Prepare brings redis-bootstrap to the host, if it is not there yet.
func (h *Host) Prepare(ctx context.Context) error {
	_, err := h.binary(ctx)
	return err
}

// Has says whether there is a directory dir on the host. The first question
// also finds out which redis-bootstrap is there, which is asked next.
func (h *Host) Has(ctx context.Context, dir string) (bool, error) {
	h.mu.Lock()
	if h.bin == "" && h.facts == nil && (!h.borrow || !h.Local) {
		defer h.mu.Unlock()
		return h.ask(ctx, dir)
	}
	h.mu.Unlock()
	err := h.shell(ctx, nil, nil, `test -d "$1"`, dir)
	if exit := new(reach.ExitError); errors.As(err, &exit) && exit.Code == 1 {
		return false, nil
	}
	return err == nil, h.fail("look for "+dir, err)
}

// Ports gives the ports of the processes that have their directories in dir, ascending.
func (h *Host) Ports(ctx context.Context, dir string) ([]int, error) {
	var names bytes.Buffer
	if err := h.shell(ctx, nil, &names, `cd "$1" 2>/dev/null && ls -1 || :`, dir); err != nil {
		return nil, h.fail("look into "+dir, err)
	}
	var ports []int
	for _, name := range strings.Fields(names.String()) {
		if port, err := strconv.Atoi(name); err == nil {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports, nil
}

// Leave deletes the binary and the base directory, unless another cluster is in it.
func (h *Host) Leave(ctx context.Context) error {
	err := h.shell(ctx, nil, nil, `cd "$1" 2>/dev/null || exit 0
for entry in * .[!.]*; do
	case "$entry" in bin|.lock|'*'|'.[!.]*') ;; *) exit 0 ;; esac
done
rm -f .lock bin/redis-bootstrap bin/redis-bootstrap.sum bin/.redis-bootstrap.* && { rmdir bin 2>/dev/null || :; }
cd / && { rmdir "$1" 2>/dev/null || :; }`, h.BaseDir)
	h.forgetBinary()
	return h.fail("delete redis-bootstrap", err)
}

// binary gives the path of this build of redis-bootstrap on the host, and puts
// it there first if it is missing or another one.
func (h *Host) binary(ctx context.Context) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bin != "" {
		return h.bin, nil
	}
	if h.borrow && h.Local {
		return h.lend()
	}
	bin := h.path()
	if h.facts == nil {
		if _, err := h.ask(ctx, h.BaseDir); err != nil {
			return "", err
		}
	}
	build, there, err := h.choose(h.facts)
	if err != nil {
		return "", err
	}
	if !there {
		h.progress.Say(ctx, h.Name, "push redis-bootstrap")
		if err := h.push(ctx, build, bin); err != nil {
			return "", err
		}
	}
	h.bin = bin
	return bin, nil
}

// path is where the binary lies.
func (h *Host) path() string { return path.Join(h.BaseDir, "bin", "redis-bootstrap") }

// ask finds out the host's facts, and whether it has the directory dir. The hash
// of a binary is worth a tenth of a second of a small host's processor: it is
// noted beside the file when that is pushed, with what tells that the file has
// not been touched since.
func (h *Host) ask(ctx context.Context, dir string) (there bool, err error) {
	var out bytes.Buffer
	begin := time.Now()
	err = h.shell(ctx, nil, &out, `if test -d "$2"; then echo yes; else echo no; fi
uname -s; uname -m; date +%s
test -x "$1" || exit 0
if read -r hash noted 2>/dev/null <"$1.sum" && test "$noted" = "$(stat -c '%i %s %Y %Z' "$1")"; then
	echo "$hash"
else
	sha256sum "$1"
fi`, h.path(), dir)
	if err != nil {
		return false, h.fail("ask for the architecture", err)
	}
	said := strings.Fields(out.String())
	if len(said) > 0 {
		there, h.facts = said[0] == "yes", said[1:]
	}
	if len(h.facts) > 2 {
		h.clock(begin, time.Now(), h.facts[2])
	}
	return there, nil
}

// forgetBinary has the next call look for the binary again.
func (h *Host) forgetBinary() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bin, h.facts = "", nil
}

// choose picks the build for a host that said facts (system, machine, time, hash
// of the binary if it has one), and says whether it has that one already.
func (h *Host) choose(facts []string) (build embedded.Build, there bool, err error) {
	if len(facts) < 2 {
		return build, false, h.fail("ask for the architecture", fmt.Errorf("uname said %q", facts))
	}
	arch, ok := embedded.Arch(facts[1])
	if !ok || facts[0] != "Linux" {
		return build, false, &spec.Failure{
			Host: h.Name, Step: "choose redis-bootstrap",
			Cause:  fmt.Sprintf("the host runs %s on %s", facts[0], facts[1]),
			Advice: "Redis hosts have to run Linux on x86-64 or arm64.",
		}
	}
	if build, err = h.builds.For(arch); err != nil {
		return build, false, h.fail("choose redis-bootstrap", err)
	}
	return build, len(facts) > 3 && facts[3] == build.SHA256, nil
}

// push sends build to bin: compressed on the way, checked against its hash
// there, and put into place by a rename, so that nobody runs half of it.
func (h *Host) push(ctx context.Context, build embedded.Build, bin string) error {
	err := h.shell(ctx, build.Gzip, nil, `set -e
umask 022
mkdir -p "$(dirname "$1")"
new=$(mktemp "$(dirname "$1")/.redis-bootstrap.XXXXXX")
trap 'rm -f "$new"' EXIT
gzip -dc >"$new" || { df -h "$new" >&2; exit 1; }
echo "$2  $new" | sha256sum -c - >/dev/null
chmod 755 "$new"
mv -f "$new" "$1"
echo "$2 $(stat -c '%i %s %Y %Z' "$1")" >"$1.sum"`, bin, build.SHA256)
	return h.fail("push redis-bootstrap to "+bin, explainSpace(bin, err))
}

// explainSpace says what to do about an error that comes of a full disk.
func explainSpace(bin string, err error) error {
	if err == nil || !strings.Contains(err.Error(), "No space left on device") {
		return err
	}
	return &spec.Failure{
		Step: "push redis-bootstrap to " + bin, Cause: err.Error(),
		Advice: "The disk is full. Make room there or give the host a larger disk, and apply again.",
	}
}

// shell runs a script of sh with args as $1, $2, …; the error holds what it said.
func (h *Host) shell(ctx context.Context, stdin []byte, stdout *bytes.Buffer, script string, args ...string) error {
	var errs tail
	command := reach.Command{Args: append([]string{"sh", "-c", script, "sh"}, args...), Stderr: &errs, Root: true}
	if stdin != nil {
		command.Stdin = bytes.NewReader(stdin)
	}
	if stdout != nil {
		command.Stdout = stdout
	}
	err := h.conn.Run(ctx, command)
	if said := errs.String(); err != nil && said != "" {
		return fmt.Errorf("%w: %s", err, said)
	}
	return err
}

// fail makes a failure of this host out of err, unless it is one already, or
// tells of an end that was asked for.
func (h *Host) fail(step string, err error) error {
	var failure *spec.Failure
	var unreachable *reach.UnreachableError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.As(err, &unreachable):
		return err
	case errors.As(err, &failure):
		if failure.Host == "" {
			failure.Host = h.Name
		}
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &spec.Failure{
			Host: h.Name, Step: step, Cause: "the time for this operation is over",
			Advice: "Apply again to go on from here, or allow more time in the timeouts attribute.",
		}
	}
	return &spec.Failure{Host: h.Name, Step: step, Cause: err.Error()}
}

// close ends the connection and takes back what was lent.
func (h *Host) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.conn.Close()
	if h.lent != nil {
		err = errors.Join(err, h.lent.Close())
	}
	return err
}
