package cluster

import (
	"slices"
)

// restart adds the restarts: first of replicas, then of primaries, each after a
// planned failover to one of its replicas. A primary without replicas goes as it
// is, and its slots are not served until it is back.
func (p *planner) restart() {
	roles := p.finalRoles()
	stage := stageRestart
	add := func(s Step) {
		s.Stage = stage
		stage++
		p.add(s)
	}
	var primaries []*Member
	for _, m := range p.wanted {
		switch {
		case !slices.Contains(p.d.Restart, m.Node.Name):
		case roles[m.Node.Name] != "":
			add(Step{Kind: Restart, Node: m.Node.Name})
		default:
			primaries = append(primaries, m)
		}
	}
	for _, m := range primaries {
		for _, n := range p.d.Nodes {
			if roles[n.Name] == m.Node.Name {
				add(Step{Kind: Failover, Node: n.Name, Target: m.Node.Name})
				break
			}
		}
		add(Step{Kind: Restart, Node: m.Node.Name})
	}
}

// finalRoles maps each wanted node to its primary, "" for primaries, as they
// will be when the steps so far are done.
func (p *planner) finalRoles() map[string]string {
	roles := map[string]string{}
	for _, m := range p.wanted {
		roles[m.Node.Name] = ""
		if primary := p.ids[m.PrimaryID]; m.PrimaryID != "" && primary != nil {
			roles[m.Node.Name] = primary.Node.Name
		}
	}
	for _, s := range p.steps {
		switch s.Kind {
		case Replicate:
			roles[s.Node] = s.Target
		case Failover:
			roles[s.Node] = ""
			for name, primary := range roles {
				if primary == s.Target && name != s.Node {
					roles[name] = s.Node
				}
			}
			if _, stays := roles[s.Target]; stays {
				roles[s.Target] = s.Node
			}
		}
	}
	return roles
}
