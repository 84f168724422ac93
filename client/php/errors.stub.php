<?php

/**
 * The exceptions of the extension. The source of errors_arginfo.h.
 *
 * @generate-class-entries
 */

namespace Shmd;

/**
 * What the service refused, or what kept a request from reaching it. The code is an errno value, positive.
 *
 * @strict-properties
 */
class Exception extends \RuntimeException
{
    protected string $name = "";
    protected array $parameters = [];

    /** The Varlink error, such as "io.shmd.Segments.NoSuchSegment"; "" when it arose in this process. */
    public function getName(): string {}

    /** The Varlink error's parameters, by name. */
    public function getParameters(): array {}
}

/** No segment has this key or id. */
final class NoSuchSegment extends Exception {}

/** The key is taken. */
final class SegmentExists extends Exception {}

/** The existing segment is smaller than asked for. */
final class SizeMismatch extends Exception {}

/** Not a key: 1 to 255 bytes of A-Z a-z 0-9 . _ : / @ + = -, the first one a letter or a digit. */
final class InvalidKey extends Exception {}

/** The service takes no such value; the parameter "parameter" tells which. */
final class InvalidParameter extends Exception {}

/** The segment's owner and mode do not allow this, or the socket's do not. */
final class PermissionDenied extends Exception {}

/** A limit on the resource that the parameter "resource" names is reached. */
final class QuotaExceeded extends Exception {}

/** The machine has not this much memory to give. */
final class OutOfMemory extends Exception {}

/** The content is immutable. */
final class SegmentSealed extends Exception {}

/** The segment can still be written. */
final class NotSealed extends Exception {}

/** The segment was created so that it can never be sealed. */
final class NotSealable extends Exception {}

/** Somebody has it open for writing, or at all; the parameter "holders" tells who. */
final class SegmentBusy extends Exception {}

/** The segment has no lease. */
final class NoLease extends Exception {}

/** The segment cannot grow so far. */
final class CapacityExceeded extends Exception {}

/** No huge pages, or no such NUMA binding; the parameter "setting" tells what decides that. */
final class PlacementUnavailable extends Exception {}

/** The daemon makes no new segments. */
final class Draining extends Exception {}

/** No daemon answers at the socket. */
final class ConnectionFailed extends Exception {}

/**
 * The daemon went away before it answered: the request may or may not have been carried out. Or the grant that was asked
 * for ended with it.
 */
final class Disconnected extends Exception {}

/** What was waited for has not come in this time. */
final class TimedOut extends Exception {}

/** A writer has died in its write section, and nobody has called the content consistent since. */
final class OwnerDied extends Exception {}

/** This segment itself holds what it would wait for. */
final class Deadlock extends Exception {}

/** The segment was opened for reading. */
final class NotWritable extends Exception {}

/** The segment or watch has been closed. */
final class Closed extends Exception {}
