// The numbers of the protocol.

/** Bytes of one message, without the NUL that ends it. */
export const messageBytes = 1024 * 1024;
/** Arrays and objects inside one another in one message. */
export const messageDepth = 32;
/** Segments in one CreateMany or OpenMany. */
export const batch = 250;
/** Attachments in one Resume. */
export const resumed = 4096;
/** Bytes of a sync area. */
export const syncAreaBytes = 4096;
/** What the first number in it says. */
export const syncAreaFormat = 1;
/** Bytes of a socket's path, without the NUL that ends it. */
export const pathBytes = 107;
