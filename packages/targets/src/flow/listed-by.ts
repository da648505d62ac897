import type { DeliveryRun, ListedPart } from '../contract/index.ts';

/** What the target lists, by an answer that may be shared (see `DeliveryRun.listed`), or by asking. */
export function listedBy(
  run: Pick<DeliveryRun<unknown>, 'listed'>,
  of: ListedPart,
  ask: () => Promise<ReadonlySet<string>>,
  options: { readonly fresh?: boolean } = {},
): Promise<ReadonlySet<string>> {
  return run.listed ? run.listed(of, ask, options) : ask();
}
