<?php

/**
 * The enums of the extension. The source of enums_arginfo.h.
 *
 * @generate-class-entries
 */

namespace Shmd;

/** What is granted. Write allows reading too. The kernel enforces it. */
enum Access: string
{
    case Read = "read";
    case Write = "write";
}

/** New fails when the key is taken, Any opens that segment. */
enum CreateMode: string
{
    case New = "new";
    case Any = "any";
}

/** How much of the memory is there after create(): all of it reserved; also zeroed already; nothing yet. */
enum Reserve: string
{
    case Allocate = "allocate";
    case Populate = "populate";
    case Lazy = "lazy";
}

/**
 * How long a segment lasts: until it is deleted; until the last grant ends; until the process that created it is gone;
 * until its lease runs out.
 */
enum Lifetime: string
{
    case Persistent = "persistent";
    case Attached = "attached";
    case Creator = "creator";
    case Lease = "lease";
}

/**
 * Pages of which memory is made: the usual ones; huge ones where the kernel finds them; huge ones alone, from the pool
 * that the administrator has set aside.
 */
enum HugePages: string
{
    case None = "none";
    case Transparent = "transparent";
    case Huge2M = "huge2M";
    case Huge1G = "huge1G";
}

/** Staged: not yet published. Live: open to all whom its mode allows. Deleted: its key is gone. */
enum State: string
{
    case Staged = "staged";
    case Live = "live";
    case Deleted = "deleted";
}

/**
 * What happened. Present: it was there already. Ready: all that were there have been told. Lost: this watch was read too
 * slowly and events are left out; what is there now follows as Present, and Ready.
 */
enum EventKind: string
{
    case Present = "present";
    case Ready = "ready";
    case Created = "created";
    case Published = "published";
    case Replaced = "replaced";
    case Sealed = "sealed";
    case Resized = "resized";
    case Changed = "changed";
    case Attached = "attached";
    case Detached = "detached";
    case Deleted = "deleted";
    case Expired = "expired";
    case Evicted = "evicted";
    case Lost = "lost";
}
