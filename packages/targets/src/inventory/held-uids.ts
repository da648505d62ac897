import type { Holding, ListedInstance, StudyToList } from '@dicom-dispatch/target-kit';

/** The instances that a target lists: their other values by SOP Instance UID. */
export type Listing<T> = ReadonlyMap<string, T>;

/** Further queries to a target that identifies instances by their SOP Instance UIDs. */
export interface UidQueries<T> {
  /**
   * @param listed - undefined if the target has the instance, but did not list it
   * @param others - all listed instances of the study
   */
  describe(
    instance: ListedInstance,
    listed: T | undefined,
    others: readonly ListedInstance[],
  ): Promise<Omit<Holding & { kind: 'held' }, 'kind' | 'instance'>>;
  /** Queries instances that are not listed, because the list may be truncated. @returns `there`, or why the result is unknown */
  confirmMissing(instances: readonly ListedInstance[]): Promise<ReadonlyMap<ListedInstance, 'there' | string>>;
}

/** Instances of a study at a target that identifies them by their SOP Instance UIDs. */
export async function* heldByUid<T>(
  { instances }: StudyToList,
  listing: Listing<T>,
  { describe, confirmMissing }: UidQueries<T>,
): AsyncGenerator<Holding, void, undefined> {
  const known = new Set(instances.map(({ instance }) => instance.sopInstanceUid));
  const [held, missing] = [
    instances.filter(({ instance }) => listing.has(instance.sopInstanceUid)),
    instances.filter(({ instance }) => !listing.has(instance.sopInstanceUid)),
  ];
  for (const instance of held) {
    const listed = listing.get(instance.instance.sopInstanceUid);
    yield { kind: 'held', instance, ...(await describe(instance, listed, held)) };
  }
  if (missing.length > 0) {
    for (const [instance, answer] of await confirmMissing(missing)) {
      if (answer === 'there') yield { kind: 'held', instance, ...(await describe(instance, undefined, held)) };
      else yield { kind: 'unread', instance, reason: answer };
    }
  }
  for (const uid of listing.keys()) {
    if (!known.has(uid)) yield { kind: 'extra', name: uid.slice(0, 64) };
  }
}
