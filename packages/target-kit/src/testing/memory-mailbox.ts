import type { Mailbox } from '../contract/index.ts';

export interface MemoryMailbox extends Mailbox {
  /** Notes with deliveries. */
  readonly doubts: { readonly deliveryId: string; readonly text: string }[];
}

/** A mailbox in memory. As with Redis, only JSON values are returned. */
export function memoryMailbox(): MemoryMailbox {
  const messages = new Map<string, string | undefined>();
  const closed = new Map<string, string>();
  const doubts: { deliveryId: string; text: string }[] = [];
  return {
    doubts,
    expect: async (name) => void messages.set(name, messages.get(name)),
    async leave(name, message) {
      if (!messages.has(name)) return false;
      messages.set(name, JSON.stringify(message));
      return true;
    },
    look: async (name) => read(messages.get(name)),
    forget: async (name) => void messages.delete(name),
    async close(name, facts) {
      const last = messages.get(name);
      messages.delete(name);
      closed.set(name, JSON.stringify(facts));
      return read(last);
    },
    closed: async (name) => read(closed.get(name)),
    doubt: async (deliveryId, text) => void doubts.push({ deliveryId, text }),
  };
}

function read<T>(text: string | undefined): T | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as T);
}
