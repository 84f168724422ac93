package shmd

import (
	"encoding/json"
	"time"
)

const maxInteger = 1<<53 - 1 // the largest number on the wire

// AclEntry lets a user or a group in, beyond what the mode allows. One of UID and GID is set.
type AclEntry struct {
	UID    *uint32 `json:"uid,omitempty"`
	GID    *uint32 `json:"gid,omitempty"`
	Access Access  `json:"access"`
}

// AllowUser is an entry for a user.
func AllowUser(uid uint32, access Access) AclEntry { return AclEntry{UID: &uid, Access: access} }

// AllowGroup is an entry for a group.
func AllowGroup(gid uint32, access Access) AclEntry { return AclEntry{GID: &gid, Access: access} }

// Info is a segment as the daemon sees it. As JSON it has the names of the interface description, with times in
// microseconds.
type Info struct {
	ID                     int64
	Key                    string // empty while staged, once deleted, and when another segment has taken the key over
	Size                   int64  // bytes
	Capacity               int64  // bytes: how far it can grow
	Mode                   uint32 // permission bits, 0 to 0777
	OwnerUID, OwnerGID     uint32
	CreatorUID, CreatorGID uint32
	CreatorPID             int32 // as the daemon sees the process
	State                  State
	Sealed                 bool // the kernel refuses every further write
	Evictable              bool
	Attachments            int64     // grants that have not ended
	Created                time.Time // as all times: of the wall clock
	Attached, Detached     time.Time // the last grant, and the last end of one; zero before the first
	Changed                time.Time // the last change of owner, mode, key, state or labels
	Expires                time.Time // when its lease runs out; zero: it has none
	Lifetime               Lifetime
	Lease                  time.Duration // 0: it has none
	Labels                 map[string]string
	ACL                    []AclEntry
	HugePages              HugePages
	NUMANodes              []uint32 // empty when it is bound to none
}

// wireInfo is an Info on the wire. What has to be there is a pointer, to see whether it was.
type wireInfo struct {
	ID            *int64             `json:"id"`
	Key           *string            `json:"key"`
	SizeBytes     *int64             `json:"sizeBytes"`
	Mode          *uint32            `json:"mode"`
	OwnerUID      *uint32            `json:"ownerUid"`
	OwnerGID      *uint32            `json:"ownerGid"`
	CreatorUID    *uint32            `json:"creatorUid"`
	CreatorGID    *uint32            `json:"creatorGid"`
	CreatorPID    *int32             `json:"creatorPid"`
	State         *State             `json:"state"`
	Sealed        *bool              `json:"sealed"`
	Attachments   *int64             `json:"attachments"`
	CreatedUsec   *int64             `json:"createdUsec"`
	AttachedUsec  *int64             `json:"attachedUsec"`
	DetachedUsec  *int64             `json:"detachedUsec"`
	ChangedUsec   *int64             `json:"changedUsec"`
	ExpiresUsec   *int64             `json:"expiresUsec"`
	Evictable     *bool              `json:"evictable"`
	Labels        map[string]*string `json:"labels"`
	Lifetime      *Lifetime          `json:"lifetime"`
	LeaseUsec     *int64             `json:"leaseUsec"`
	ACL           []AclEntry         `json:"acl"`
	CapacityBytes *int64             `json:"capacityBytes"`
	HugePages     *HugePages         `json:"hugePages"`
	NUMANodes     []uint32           `json:"numaNodes"`
}

func (w *wireInfo) complete() bool {
	return w.ID != nil && w.SizeBytes != nil && w.Mode != nil && w.OwnerUID != nil && w.OwnerGID != nil &&
		w.CreatorUID != nil && w.CreatorGID != nil && w.CreatorPID != nil && w.State != nil && w.Sealed != nil &&
		w.Attachments != nil && w.CreatedUsec != nil && w.ChangedUsec != nil && w.Evictable != nil &&
		w.Lifetime != nil && w.CapacityBytes != nil && w.HugePages != nil
}

func (w *wireInfo) check() error {
	if w == nil {
		return nonsense("it describes no segment")
	}
	if !w.complete() {
		return nonsense("its segment has not all the fields of one")
	}
	for _, number := range []*int64{w.ID, w.SizeBytes, w.Attachments, w.CreatedUsec, w.AttachedUsec, w.DetachedUsec,
		w.ChangedUsec, w.ExpiresUsec, w.LeaseUsec, w.CapacityBytes} {
		if number != nil && (*number > maxInteger || *number < -maxInteger) {
			return nonsense("a number of its segment is beyond 2^53-1")
		}
	}
	if *w.SizeBytes <= 0 || *w.CapacityBytes < *w.SizeBytes {
		return nonsense("its segment's size cannot be")
	}
	for _, value := range w.Labels {
		if value == nil {
			return nonsense("a label of its segment is no text")
		}
	}
	for _, entry := range w.ACL {
		if (entry.UID == nil) == (entry.GID == nil) || entry.Access == "" {
			return nonsense("an entry of its segment is not for exactly one of a user and a group")
		}
	}
	return nil
}

func timeOf(usec *int64) time.Time {
	if usec == nil {
		return time.Time{}
	}
	return time.UnixMicro(*usec)
}

// info makes an Info of what check has accepted.
func (w *wireInfo) info() *Info {
	info := &Info{
		ID: *w.ID, Size: *w.SizeBytes, Capacity: *w.CapacityBytes, Mode: *w.Mode,
		OwnerUID: *w.OwnerUID, OwnerGID: *w.OwnerGID,
		CreatorUID: *w.CreatorUID, CreatorGID: *w.CreatorGID, CreatorPID: *w.CreatorPID,
		State: *w.State, Sealed: *w.Sealed, Evictable: *w.Evictable, Attachments: *w.Attachments,
		Created: timeOf(w.CreatedUsec), Attached: timeOf(w.AttachedUsec), Detached: timeOf(w.DetachedUsec),
		Changed: timeOf(w.ChangedUsec), Expires: timeOf(w.ExpiresUsec),
		Lifetime: *w.Lifetime, Labels: make(map[string]string, len(w.Labels)), ACL: w.ACL,
		HugePages: *w.HugePages, NUMANodes: w.NUMANodes,
	}
	if w.Key != nil {
		info.Key = *w.Key
	}
	if w.LeaseUsec != nil {
		info.Lease = time.Duration(*w.LeaseUsec) * time.Microsecond
	}
	for name, value := range w.Labels {
		info.Labels[name] = *value
	}
	return info
}

func usecOf(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	usec := t.UnixMicro()
	return &usec
}

// MarshalJSON gives the segment as the interface description has it.
func (i Info) MarshalJSON() ([]byte, error) {
	created, changed := i.Created.UnixMicro(), i.Changed.UnixMicro()
	w := wireInfo{
		ID: &i.ID, SizeBytes: &i.Size, CapacityBytes: &i.Capacity, Mode: &i.Mode, OwnerUID: &i.OwnerUID,
		OwnerGID: &i.OwnerGID, CreatorUID: &i.CreatorUID, CreatorGID: &i.CreatorGID, CreatorPID: &i.CreatorPID,
		State: &i.State, Sealed: &i.Sealed, Evictable: &i.Evictable, Attachments: &i.Attachments,
		CreatedUsec: &created, AttachedUsec: usecOf(i.Attached), DetachedUsec: usecOf(i.Detached), ChangedUsec: &changed,
		ExpiresUsec: usecOf(i.Expires), Lifetime: &i.Lifetime, Labels: make(map[string]*string, len(i.Labels)),
		ACL: i.ACL, HugePages: &i.HugePages, NUMANodes: i.NUMANodes,
	}
	if i.Key != "" {
		w.Key = &i.Key
	}
	if i.Lease != 0 {
		usec := i.Lease.Microseconds()
		w.LeaseUsec = &usec
	}
	for name, value := range i.Labels {
		value := value
		w.Labels[name] = &value
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON and the daemon give. Fields of a later version are passed over.
func (i *Info) UnmarshalJSON(text []byte) error {
	var w wireInfo
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	if err := w.check(); err != nil {
		return err
	}
	*i = *w.info()
	return nil
}
