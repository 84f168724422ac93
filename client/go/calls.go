package shmd

import (
	"context"
	"time"
)

// Describe tells what a segment is.
func (cl *Client) Describe(ctx context.Context, ref Ref) (*Info, error) {
	return cl.describing(ctx, ref, "describe", "Describe", func(to target) any { return to })
}

// Delete deletes a segment. The key is free at once; whoever has it open keeps the memory. Only its owner, its creator and
// root may.
func (cl *Client) Delete(ctx context.Context, ref Ref) error {
	says := func() string { return "delete " + ref.String() }
	to, err := ref.target()
	if err != nil {
		return inContext(err, says)
	}
	message := encode("Delete", to)
	_, err = carryOut(ctx, cl, false, says, func(c *conn) (empty, error) {
		_, err := call[empty](ctx, c, message, nil)
		return empty{}, err
	})
	return err
}

// Attributes are what SetAttributes changes. What is left out stays.
type Attributes struct {
	Mode               *uint32 // see [Mode]
	OwnerUID, OwnerGID *uint32 // as chown(2); the memory stays on the account of the user who reserved it
	Lifetime           Lifetime
	Lease              time.Duration // with LifetimeLease: begins now
	Evictable          *bool
	Labels             map[string]string // added, or changed where the name is there
	RemoveLabels       []string          // names
	ACL                []AclEntry        // takes the place of all entries; nil leaves them, an empty slice takes them away
}

// SetAttributes changes a segment, and tells what it is then. Only its owner, its creator and root may.
func (cl *Client) SetAttributes(ctx context.Context, ref Ref, change Attributes) (*Info, error) {
	request := setAttributes{
		Mode: change.Mode, OwnerUID: change.OwnerUID, OwnerGID: change.OwnerGID, Lifetime: change.Lifetime,
		LeaseUsec: change.Lease.Microseconds(), Evictable: change.Evictable, Labels: change.Labels,
		RemoveLabels: change.RemoveLabels,
	}
	if change.ACL != nil {
		request.ACL = &change.ACL
	}
	return cl.describing(ctx, ref, "change", "SetAttributes", func(to target) any {
		request.target = to
		return request
	})
}

// Renew begins a segment's lease anew, for its full length from now on. Whoever may open it for reading may.
func (cl *Client) Renew(ctx context.Context, ref Ref) (*Info, error) {
	return cl.describing(ctx, ref, "renew the lease of", "Renew", func(to target) any { return to })
}

// Seal makes a segment's content immutable for ever, by the kernel. [ErrSegmentBusy] while somebody has it open for writing,
// this process too: see [Segment.Seal].
func (cl *Client) Seal(ctx context.Context, ref Ref) (*Info, error) {
	return cl.describing(ctx, ref, "seal", "Seal", func(to target) any { return to })
}

// Resize changes a segment's size, within its capacity. Key, id and content stay; what is new is zeros. It is made smaller
// only while no other connection has it open. See [Segment.Resize] for one that this process has open.
func (cl *Client) Resize(ctx context.Context, ref Ref, size int64) (*Info, error) {
	return cl.describing(ctx, ref, "resize", "Resize", func(to target) any { return resize{to, size} })
}

// List iterates over the live segments that this user may describe and whose key begins with prefix, in the order of their
// creation. From Go 1.23 on:
//
//	for info, err := range client.List(ctx, "app/") { ... }
//
// An error is the last that it gives. The list is as it was when the iteration began; the loop may make other calls.
func (cl *Client) List(ctx context.Context, prefix string) func(yield func(*Info, error) bool) {
	return func(yield func(*Info, error) bool) {
		all, err := cl.ListAll(ctx, prefix)
		for _, info := range all {
			if !yield(info, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// ListAll is List as a slice.
func (cl *Client) ListAll(ctx context.Context, prefix string) ([]*Info, error) {
	message := encodeMore("List", prefixed{prefix})
	return carryOut(ctx, cl, true, func() string { return "list segments" }, func(c *conn) ([]*Info, error) {
		replies, err := callMany[listed](ctx, c, message)
		if err != nil {
			return nil, err
		}
		all := make([]*Info, 0, len(replies))
		for _, reply := range replies {
			if reply.Segment != nil {
				all = append(all, reply.Segment.info())
			}
		}
		return all, nil
	})
}
