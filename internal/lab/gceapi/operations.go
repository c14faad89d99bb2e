//go:build linux

package gceapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// operation is work that goes on after its call was answered.
type operation struct {
	pb   *computepb.Operation
	done chan struct{}
}

// begin starts work on the resource at target and answers with its operation.
// The work runs without a.mu.
func (a *API) begin(kind, target string, targetID *uint64, work func(context.Context) error) *computepb.Operation {
	id := a.id()
	name := fmt.Sprintf("operation-%d", *id)
	scope := "global"
	if !strings.HasPrefix(target, "global/") {
		scope = path.Join(strings.Split(target, "/")[:2]...)
	}
	now := timestamp()
	op := &operation{done: make(chan struct{}), pb: &computepb.Operation{
		Kind: proto.String("compute#operation"), Id: id, Name: &name, OperationType: &kind,
		TargetLink: proto.String(link(target)), TargetId: targetID,
		SelfLink: proto.String(link(scope + "/operations/" + name)),
		Status:   computepb.Operation_RUNNING.Enum(), Progress: proto.Int32(0),
		InsertTime: &now, StartTime: &now,
	}}
	switch {
	case strings.HasPrefix(scope, "zones/"):
		op.pb.Zone = proto.String(link(scope))
	case strings.HasPrefix(scope, "regions/"):
		op.pb.Region = proto.String(link(scope))
	}
	a.operations[scope+"/operations/"+name] = op
	answer := proto.Clone(op.pb).(*computepb.Operation)
	a.work.Go(func() {
		err := work(a.ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		op.finish(err)
	})
	return answer
}

func (o *operation) finish(err error) {
	o.pb.Status, o.pb.Progress = computepb.Operation_DONE.Enum(), proto.Int32(100)
	o.pb.EndTime = proto.String(timestamp())
	if err != nil {
		e := new(apiError)
		if !errors.As(err, &e) {
			e = &apiError{http.StatusInternalServerError, "INTERNAL_ERROR", err.Error()}
		}
		o.pb.HttpErrorStatusCode = proto.Int32(int32(e.code)) //nolint:gosec // G115: a status code.
		o.pb.HttpErrorMessage = proto.String(http.StatusText(e.code))
		o.pb.Error = &computepb.Error{Errors: []*computepb.Errors{{Code: proto.String(strings.ToUpper(e.reason)), Message: proto.String(e.message)}}}
	}
	close(o.done)
}

// scopeOf is "global", "zones/Z" or "regions/R".
func scopeOf(r *http.Request) string {
	switch {
	case r.PathValue("zone") != "":
		return "zones/" + r.PathValue("zone")
	case r.PathValue("region") != "":
		return "regions/" + r.PathValue("region")
	default:
		return "global"
	}
}

func (a *API) getOperation(r *http.Request) (proto.Message, error) {
	op, err := find(a.operations, scopeOf(r)+"/operations/"+r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	return proto.Clone(op.pb), nil
}

// waitOperation answers when the operation is done, or after a while.
func (a *API) waitOperation(r *http.Request) (proto.Message, error) {
	op, err := find(a.operations, scopeOf(r)+"/operations/"+r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	const longest = 30 * time.Second
	a.mu.Unlock()
	select {
	case <-op.done:
	case <-r.Context().Done():
	case <-time.After(longest):
	}
	a.mu.Lock()
	return proto.Clone(op.pb), nil
}

func timestamp() string { return time.Now().Format("2006-01-02T15:04:05.000-07:00") }
