package shmd

import (
	"context"
	"fmt"
	"time"
)

// Mode is permission bits for an option. As in chmod(2), r and w only; the kernel enforces them by what it grants.
func Mode(bits uint32) *uint32 { return &bits }

// Value makes a pointer, as options of which "not given" and zero differ have it.
func Value[T any](value T) *T { return &value }

// CreateOptions are the options of Create. The zero value has the defaults.
type CreateOptions struct {
	// Mode decides who may open the segment later. Default 0600, or what the daemon's policy says for the key. See [Mode].
	Mode *uint32
	// OpenExisting opens the segment that has the key already, which must be large enough: [ErrSizeMismatch]. Then only Access
	// counts. Default: [ErrSegmentExists].
	OpenExisting bool
	// Access is what is granted. Default Write. A new segment is granted whatever its mode is.
	Access Access
	// Reserve is how much of the memory is there at once. Default ReserveAllocate.
	Reserve Reserve
	// Staged: invisible until [Segment.Publish], and gone with this process's last grant before that.
	Staged bool
	// Lifetime is by default LifetimePersistent.
	Lifetime Lifetime
	// Lease, with LifetimeLease and only then: at least a second, in whole microseconds.
	Lease time.Duration
	// Evictable: may be dropped when memory runs short and nobody has it open.
	Evictable bool
	// Unsealable: nobody can ever make it immutable.
	Unsealable bool
	// Capacity is how far the segment can grow, in bytes. All of it counts against the quota. Default: its size.
	Capacity int64
	// Labels: at most 32; names 1 to 63 bytes, values up to 1024, 4096 in all.
	Labels map[string]string
	// ACL lets further users and groups in. At most 32 entries.
	ACL []AclEntry
	// HugePages is by default HugeNone. What the machine cannot give is [ErrPlacementUnavailable].
	HugePages HugePages
	// NUMANodes: the memory comes from these alone.
	NUMANodes []uint32
	// PlacementFallback: without huge pages or nodes when the machine cannot give them.
	PlacementFallback bool
}

func (o *CreateOptions) request(key Key, size int64) create {
	if o == nil {
		return create{Key: string(key), SizeBytes: size}
	}
	request := create{
		Key: string(key), SizeBytes: size, Mode: o.Mode, Access: o.Access, Reserve: o.Reserve, Staged: o.Staged,
		Lifetime: o.Lifetime, Labels: o.Labels, LeaseUsec: o.Lease.Microseconds(), Evictable: o.Evictable, ACL: o.ACL,
		CapacityBytes: o.Capacity, HugePages: o.HugePages, NUMANodes: o.NUMANodes, PlacementFallback: o.PlacementFallback,
	}
	if o.OpenExisting {
		request.CreateMode = "any"
	}
	if o.Unsealable {
		request.Sealable = Value(false)
	}
	return request
}

func (c *create) access() Access {
	if c.Access == "" {
		return Write
	}
	return c.Access
}

// Create makes a segment of size bytes of zeros, open for this process, which owns it. An empty key has the daemon make up one
// that cannot be guessed; see [Segment.Key]. options may be nil.
func (cl *Client) Create(ctx context.Context, key Key, size int64, options *CreateOptions) (*Segment, error) {
	request := options.request(key, size)
	opens := key != "" && request.CreateMode == "any" && !request.Staged
	message := encode("Create", request)
	tried := func() string {
		if key == "" {
			return fmt.Sprintf("create a segment of %d bytes", size)
		}
		return fmt.Sprintf("create %s of %d bytes", key, size)
	}
	return carryOut(ctx, cl, opens, tried, func(c *conn) (*Segment, error) {
		return granted(ctx, c, message, request.access())
	})
}

// NewSegment is one of those that CreateMany makes, as Create takes it.
type NewSegment struct {
	Key     Key
	Size    int64
	Options *CreateOptions
}

// CreateMany makes 1 to 250 segments in one trip to the daemon, or none of them: the first error is the answer. No key twice.
func (cl *Client) CreateMany(ctx context.Context, segments []NewSegment) ([]*Segment, error) {
	request := createMany{make([]create, len(segments))}
	for i, each := range segments {
		request.Segments[i] = each.Options.request(each.Key, each.Size)
	}
	message := encode("CreateMany", request)
	tried := func() string { return fmt.Sprintf("create %d segments", len(segments)) }
	return carryOut(ctx, cl, false, tried, func(c *conn) ([]*Segment, error) {
		got, err := call(ctx, c, message, func(unwanted grants) {
			for _, each := range unwanted.Grants {
				undo(c)(*each)
			}
		})
		if err != nil {
			return nil, err
		}
		defer closeAll(got.descriptors)
		if len(got.body.Grants) != len(segments) {
			c.giveUp()
			return nil, nonsense("it has not as many grants as it should")
		}
		return mapAll(c, got, request.Segments)
	})
}

// mapAll maps all segments of an answer, or takes all of them back.
func mapAll(c *conn, got answer[grants], requests []create) ([]*Segment, error) {
	var all []*Segment
	var failure error
	for i, each := range got.body.Grants {
		segment, err := mapOne(c, each, got.descriptors, got.lost, requests[i].access())
		if err != nil {
			failure = err
			continue
		}
		all = append(all, segment)
	}
	if failure == nil {
		return all, nil
	}
	for _, each := range all {
		if each.created {
			c.notify(encodeOneway("Delete", each.byID()))
		}
		each.Close()
	}
	return nil, failure
}
