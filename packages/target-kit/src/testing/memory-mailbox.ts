import type { Mailbox } from '../contract/index.ts';

/** A mailbox in memory. As with Redis, only JSON values are returned. */
export function memoryMailbox(): Mailbox {
  const messages = new Map<string, string | undefined>();
  return {
    expect: async (name) => void messages.set(name, messages.get(name)),
    async leave(name, message) {
      if (!messages.has(name)) return false;
      messages.set(name, JSON.stringify(message));
      return true;
    },
    async look<T>(name: string) {
      const text = messages.get(name);
      return text === undefined ? undefined : (JSON.parse(text) as T);
    },
    forget: async (name) => void messages.delete(name),
  };
}
