package shmd

// The calls and replies of io.shmd.Segments.

import (
	"encoding/json"
	"fmt"
)

const segmentsInterface = "io.shmd.Segments."

const maxBatch = 250 // segments in one CreateMany or OpenMany

type outgoing struct {
	Method     string `json:"method"`
	Parameters any    `json:"parameters,omitempty"`
	Oneway     bool   `json:"oneway,omitempty"`
	More       bool   `json:"more,omitempty"`
}

func (o outgoing) bytes() []byte {
	text, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("shmd: cannot encode a call: %v", err)) // our own types alone come here
	}
	return text
}

func encode(method string, parameters any) []byte {
	return outgoing{Method: segmentsInterface + method, Parameters: parameters}.bytes()
}

func encodeOneway(method string, parameters any) []byte {
	return outgoing{Method: segmentsInterface + method, Parameters: parameters, Oneway: true}.bytes()
}

func encodeMore(method string, parameters any) []byte {
	return outgoing{Method: segmentsInterface + method, Parameters: parameters, More: true}.bytes()
}

type create struct {
	Key               string            `json:"key,omitempty"`
	SizeBytes         int64             `json:"sizeBytes"`
	Mode              *uint32           `json:"mode,omitempty"`
	CreateMode        string            `json:"createMode,omitempty"`
	Access            Access            `json:"access,omitempty"`
	Reserve           Reserve           `json:"reserve,omitempty"`
	Staged            bool              `json:"staged,omitempty"`
	Lifetime          Lifetime          `json:"lifetime,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	LeaseUsec         int64             `json:"leaseUsec,omitempty"`
	Evictable         bool              `json:"evictable,omitempty"`
	Sealable          *bool             `json:"sealable,omitempty"`
	ACL               []AclEntry        `json:"acl,omitempty"`
	CapacityBytes     int64             `json:"capacityBytes,omitempty"`
	HugePages         HugePages         `json:"hugePages,omitempty"`
	NUMANodes         []uint32          `json:"numaNodes,omitempty"`
	PlacementFallback bool              `json:"placementFallback,omitempty"`
}

type createMany struct {
	Segments []create `json:"segments"`
}

type open struct {
	target
	Access   Access `json:"access"`
	WaitUsec int64  `json:"waitUsec,omitempty"`
	Sealed   bool   `json:"sealed,omitempty"`
}

type openMany struct {
	Targets []target `json:"targets"`
	Access  Access   `json:"access"`
}

type setAttributes struct {
	target
	Mode         *uint32           `json:"mode,omitempty"`
	OwnerUID     *uint32           `json:"ownerUid,omitempty"`
	OwnerGID     *uint32           `json:"ownerGid,omitempty"`
	Lifetime     Lifetime          `json:"lifetime,omitempty"`
	LeaseUsec    int64             `json:"leaseUsec,omitempty"`
	Evictable    *bool             `json:"evictable,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	RemoveLabels []string          `json:"removeLabels,omitempty"`
	ACL          *[]AclEntry       `json:"acl,omitempty"`
}

type resize struct {
	target
	SizeBytes int64 `json:"sizeBytes"`
}

type publish struct {
	Attachment uint32 `json:"attachment"`
	Key        string `json:"key,omitempty"`
	Replace    bool   `json:"replace,omitempty"`
}

type detach struct {
	Attachment uint32 `json:"attachment"`
}

type resume struct {
	Attachments []uint32 `json:"attachments"`
	Partial     bool     `json:"partial,omitempty"`
}

type prefixed struct {
	Prefix string `json:"prefix,omitempty"`
}

type empty struct{}

type grant struct {
	Segment        *wireInfo `json:"segment"`
	Created        *bool     `json:"created"`
	Attachment     *uint32   `json:"attachment"`
	FileDescriptor *int32    `json:"fileDescriptor"`
}

func (g *grant) check() error {
	if g == nil || g.Attachment == nil || g.FileDescriptor == nil {
		return nonsense("its grant has not all the fields of one")
	}
	if *g.Attachment == 0 || *g.FileDescriptor < 0 {
		return nonsense("its attachment or descriptor cannot be")
	}
	return g.Segment.check()
}

func (g *grant) created() bool { return g.Created != nil && *g.Created }

type grants struct {
	Grants []*grant `json:"grants"`
}

func (g *grants) check() error {
	for _, each := range g.Grants {
		if err := each.check(); err != nil {
			return err
		}
	}
	return nil
}

type openResult struct {
	Grant      *grant          `json:"grant"`
	Error      *string         `json:"error"`
	Parameters json.RawMessage `json:"parameters"`
}

type openResults struct {
	Results []openResult `json:"results"`
}

func (r *openResults) check() error {
	for _, each := range r.Results {
		if (each.Grant == nil) == (each.Error == nil) {
			return nonsense("a result is not exactly one of a grant and an error")
		}
		if each.Grant != nil {
			if err := each.Grant.check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// described is the reply of what tells of one segment.
type described struct {
	Segment *wireInfo `json:"segment"`
}

func (d *described) check() error { return d.Segment.check() }

// listed may tell of none.
type listed struct {
	Segment *wireInfo `json:"segment"`
}

func (l *listed) check() error {
	if l.Segment == nil {
		return nil
	}
	return l.Segment.check()
}

type watched struct {
	Event   *EventKind `json:"event"`
	Segment *wireInfo  `json:"segment"`
}

func (w *watched) check() error {
	if w.Event == nil {
		return nonsense("it tells of no event")
	}
	if w.Segment == nil {
		return nil
	}
	return w.Segment.check()
}

type resumed struct {
	Attachments []uint32 `json:"attachments"`
}
