/**
 * Messages from outside that one dispatcher receives while another waits for them: a report on a storage commitment goes
 * to the address that the archive knows, whoever asked for it. A message stays until it is forgotten, so that it also
 * outlives a restart of the one who waits.
 */
export interface Mailbox {
  /** Makes a name known: from now on any dispatcher takes a message under it in. */
  expect(name: string): Promise<void>;
  /** @returns false when nobody expects a message under this name */
  leave(name: string, message: unknown): Promise<boolean>;
  /** The message, or undefined while there is none. */
  look<T>(name: string): Promise<T | undefined>;
  forget(name: string): Promise<void>;
}
