import type { InstanceBytes } from '../contract/index.ts';

/** The chunks of an instance for who keeps none: each is given back to the source when the next is asked for. */
export async function* borrowed({
  body,
  giveBack,
}: Pick<InstanceBytes, 'body' | 'giveBack'>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    yield chunk;
    giveBack?.(chunk);
  }
}
