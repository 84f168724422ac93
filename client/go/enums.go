package shmd

import "fmt"

// Access is what a grant allows. The kernel enforces it.
type Access string

// The kinds of access. Write allows reading too.
const (
	Read  Access = "read"
	Write Access = "write"
)

// Reserve is how much of the memory is there when Create returns.
type Reserve string

// How memory is reserved: all of it (the default); also zeroed, so that the first access costs no more than mapping it; or
// page by page as it is first touched.
const (
	ReserveAllocate Reserve = "allocate"
	ReservePopulate Reserve = "populate"
	ReserveLazy     Reserve = "lazy"
)

// State is where a segment is in its life.
type State string

// The states: made but not yet published; open to all whom its mode allows; without a key, until the last grant ends.
const (
	StateStaged  State = "staged"
	StateLive    State = "live"
	StateDeleted State = "deleted"
)

// Lifetime is how long a segment lasts. Whoever has it open at the end keeps the memory.
type Lifetime string

// The lifetimes: until it is deleted (the default); until its last grant ends; until the process that created it is gone;
// until its lease runs out.
const (
	LifetimePersistent Lifetime = "persistent"
	LifetimeAttached   Lifetime = "attached"
	LifetimeCreator    Lifetime = "creator"
	LifetimeLease      Lifetime = "lease"
)

// HugePages are the pages of which memory is made.
type HugePages string

// The usual ones (the default); huge ones where the kernel finds them; huge ones of this size alone, from the pool that the
// administrator has set aside.
const (
	HugeNone        HugePages = "none"
	HugeTransparent HugePages = "transparent"
	Huge2M          HugePages = "huge2M"
	Huge1G          HugePages = "huge1G"
)

// EventKind is what a watch tells.
type EventKind string

// The kinds of events. Created and Published: the segment is live now. Replaced: its key went to another one. Changed: its
// mode, owner, labels, lifetime or entries. Deleted, Expired (its lifetime or lease is over), Evicted: its key is free.
// Present: it was there already. Ready: all that were there have been told. Lost: this watch was read too slowly and some
// events are left out; Present follows anew.
const (
	EventPresent   EventKind = "present"
	EventReady     EventKind = "ready"
	EventCreated   EventKind = "created"
	EventPublished EventKind = "published"
	EventReplaced  EventKind = "replaced"
	EventSealed    EventKind = "sealed"
	EventResized   EventKind = "resized"
	EventChanged   EventKind = "changed"
	EventAttached  EventKind = "attached"
	EventDetached  EventKind = "detached"
	EventDeleted   EventKind = "deleted"
	EventExpired   EventKind = "expired"
	EventEvicted   EventKind = "evicted"
	EventLost      EventKind = "lost"
)

func unmarshalEnum[E ~string](out *E, text []byte, known ...E) error {
	for _, each := range known {
		if string(text) == string(each) {
			*out = each
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %v", text, known)
}

// UnmarshalText refuses what is no access.
func (a *Access) UnmarshalText(text []byte) error { return unmarshalEnum(a, text, Read, Write) }

// UnmarshalText refuses what is no state.
func (s *State) UnmarshalText(text []byte) error {
	return unmarshalEnum(s, text, StateLive, StateStaged, StateDeleted)
}

// UnmarshalText refuses what is no lifetime.
func (l *Lifetime) UnmarshalText(text []byte) error {
	return unmarshalEnum(l, text, LifetimePersistent, LifetimeAttached, LifetimeCreator, LifetimeLease)
}

// UnmarshalText refuses what names no pages.
func (h *HugePages) UnmarshalText(text []byte) error {
	return unmarshalEnum(h, text, HugeNone, HugeTransparent, Huge2M, Huge1G)
}

// UnmarshalText refuses what is no kind of event.
func (k *EventKind) UnmarshalText(text []byte) error {
	return unmarshalEnum(k, text, EventPresent, EventReady, EventCreated, EventPublished, EventReplaced, EventSealed,
		EventResized, EventChanged, EventAttached, EventDetached, EventDeleted, EventExpired, EventEvicted, EventLost)
}
