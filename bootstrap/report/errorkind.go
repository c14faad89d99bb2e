package report

import (
	"cmp"
	"maps"
	"slices"

	"github.com/redisfleet/terraform-provider-redis/bootstrap/spec"
)

// meaning explains a kind of error. followed is true for those that are part of
// a cluster's ordinary life: the client went where it was told, and the
// operation succeeded.
func meaning(kind string) (text string, followed bool) {
	switch kind {
	case "moved":
		return "The slot belongs to another node, which the client then asked. Usual after a failover or a resharding.", true
	case "ask":
		return "The slot is on its way to another node, which the client then asked for this one key.", true
	case "tryagain":
		return "Several keys of one command were on both sides of a slot that is moving.", false
	case "clusterdown":
		return "The node refused: its cluster was down, mostly because a slot had no primary for the moment.", false
	case "loading":
		return "The node had just started and was still reading its data from disk.", false
	case "readonly":
		return "A write reached a node that had become a replica.", false
	case "masterdown":
		return "A replica had lost its primary and does not serve stale data.", false
	case "noreplicas":
		return "The primary had too few replicas to accept writes (min-replicas-to-write).", false
	case "misconf":
		return "The node refused writes because it can't save to disk: full, or not writable.", false
	case "oom":
		return "The node had reached maxmemory and its policy let nothing go.", false
	case "busy":
		return "The node was busy with a script or function.", false
	case "noauth":
		return "The connection had not logged in.", false
	case "wrongpass":
		return "Username or password was wrong, or the user is disabled.", false
	case "noperm":
		return "The user's ACL does not permit this command or key.", false
	case "wrongtype":
		return "The key holds another type of value than the command works on.", false
	case "crossslot":
		return "The keys of one command belong to different slots.", false
	case "noscript":
		return "The script is not in the node's cache.", false
	case "execabort":
		return "A transaction was dropped because a command in it was refused.", false
	case "unblocked":
		return "A blocking command was broken off, as when its node becomes a replica.", false
	case "err":
		return "The server refused the command: unknown, or with wrong arguments.", false
	case "connection":
		return "The connection broke or could not be made; a write under way may or may not have been done.", false
	case "refused":
		return "No process listened at the node's port.", false
	case "timeout":
		return "No answer came in time.", false
	default:
		return "The server's own word; its documentation has the details.", false
	}
}

// errorTable lists the kinds of error, most frequent first, and says how many
// of all were redirections that were followed.
func errorTable(res spec.LoadResult) (t table, redirections int64) {
	kinds := slices.Collect(maps.Keys(res.Errors))
	slices.SortFunc(kinds, func(a, b string) int {
		return cmp.Or(cmp.Compare(res.Errors[b], res.Errors[a]), cmp.Compare(a, b))
	})
	t.Head = append(words("Kind"), numbers("Count", "Per operation")...)
	t.Head = append(t.Head, words("What it means")...)
	for _, k := range kinds {
		n := res.Errors[k]
		if n == 0 {
			continue
		}
		text, followed := meaning(k)
		class := "bad"
		if followed {
			redirections += n
			class = ""
		}
		share := none
		if res.Operations > 0 {
			share = percent(float64(n) / float64(res.Operations))
		}
		t.Rows = append(t.Rows, row{Cells: []cell{
			{Text: plain(k), Class: "code"}, {Text: count(n), Class: class}, {Text: share}, {Text: text},
		}})
	}
	return t, redirections
}
