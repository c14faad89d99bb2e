package main

import (
	"context"
	"errors"
	"io"
	"time"
)

// errAbandoned ends the work of a command whose caller is gone.
var errAbandoned = errors.New("the caller is gone")

// attended gives a context that ends when the caller is gone: when stdin ends, or
// nothing came on it for limit. A command that nobody waits for must not go on
// beside the next one. Nothing can interrupt a read from stdin, so a goroutine
// stays with it.
func attended(ctx context.Context, stdin io.Reader, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	silence := time.AfterFunc(limit, func() { cancel(errAbandoned) })
	go func() {
		for b := make([]byte, 64); ; {
			_, err := stdin.Read(b)
			if err != nil {
				cancel(errAbandoned)
				return
			}
			silence.Reset(limit)
		}
	}()
	return ctx, func() {
		silence.Stop()
		cancel(nil)
	}
}
