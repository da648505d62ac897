/** So many large instances are read and sent at the same time: the source has each of them whole in memory, as many receivers do. */
export const largeAtOnce = 2;

/** Bytes of an instance from which on it is large. */
export const largeBytes = 64_000_000;
