import type { Holding, ListedInstance, StudyToList } from '@dicom-dispatch/target-kit';

/** What a target lists: SOP Instance UID to what else it says. */
export type Listing<T> = ReadonlyMap<string, T>;

/**
 * What a target that knows instances by their SOP Instance UIDs has of a study.
 *
 * @param confirmMissing - asked for what is not in the listing, which may have been cut: who is `there` after all, and why
 *   others may be
 */
export async function* heldByUid<T>(
  { instances }: StudyToList,
  listing: Listing<T>,
  describe: (instance: ListedInstance, listed: T) => Promise<Omit<Holding & { kind: 'held' }, 'kind' | 'instance'>>,
  confirmMissing: (instances: readonly ListedInstance[]) => Promise<ReadonlyMap<ListedInstance, 'there' | string>>,
): AsyncGenerator<Holding, void, undefined> {
  const known = new Set(instances.map(({ instance }) => instance.sopInstanceUid));
  const missing: ListedInstance[] = [];
  for (const instance of instances) {
    const listed = listing.get(instance.instance.sopInstanceUid);
    if (listed === undefined) missing.push(instance);
    else yield { kind: 'held', instance, ...(await describe(instance, listed)) };
  }
  if (missing.length > 0) {
    for (const [instance, answer] of await confirmMissing(missing)) {
      yield answer === 'there' ? { kind: 'held', instance } : { kind: 'unread', instance, reason: answer };
    }
  }
  for (const uid of listing.keys()) {
    if (!known.has(uid)) yield { kind: 'extra', name: uid.slice(0, 64) };
  }
}
