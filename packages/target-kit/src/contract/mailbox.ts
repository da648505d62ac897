/**
 * Messages from outside that one dispatcher receives while another waits for them: a storage commitment report is sent
 * to the address that the archive knows, whichever dispatcher requested it. A message is stored until it is deleted, so it also
 * survives a restart of the waiting dispatcher.
 */
export interface Mailbox {
  /** Registers a name: from now on any dispatcher accepts a message for it. */
  expect(name: string): Promise<void>;
  /** @returns false if no delivery expects a message with this name */
  leave(name: string, message: unknown): Promise<boolean>;
  /** The message; undefined if there is none. */
  look<T>(name: string): Promise<T | undefined>;
  forget(name: string): Promise<void>;
  /**
   * Ends a name whose message was read: no further message is accepted. Facts about it are stored for a week, for a message
   * that contradicts the one that was read.
   *
   * @returns the message at this moment: another one may have replaced the one that was read
   */
  close<T>(name: string, facts: unknown): Promise<T | undefined>;
  /** The facts of a closed name; undefined if there are none. */
  closed<T>(name: string): Promise<T | undefined>;
  /** Notes with a delivery, also with an ended one, that its target may lack confirmed instances. */
  doubt(deliveryId: string, text: string): Promise<void>;
}
