import type { Holding, ListedInstance, StudyToList } from '@dicom-dispatch/target-kit';

/** The list of a target: SOP Instance UID to its other values. */
export type Listing<T> = ReadonlyMap<string, T>;

/**
 * Content of a target that identifies instances by their SOP Instance UIDs, for a study.
 *
 * @param confirmMissing - called for instances missing in the list, which may have been cut: returns those that are `there`,
 *   and
 *   reasons for others
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
