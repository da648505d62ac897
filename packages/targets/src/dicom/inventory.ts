import { connect, UID, type Association } from 'dicom-dimse';
import type { Inventory, InventoryContext, ListedInstance, StudyToList } from '@dicom-dispatch/target-kit';
import { ContentCheck, heldByUid } from '../inventory/index.ts';
import { queryOptions } from './connect-options.ts';
import { dicomError } from './errors.ts';
import { littleEndian } from './little-endian.ts';
import { OneByOne } from './retrieve-one.ts';
import type { AnyDicomTarget } from './schema.ts';
import { listedUids, noQueries, oneByOne } from './verify/verify-by-find.ts';

/** What a receiver lists by C-FIND at IMAGE level (PS3.4 section C.4.1); contents by C-GET or C-MOVE, one by one. */
export async function openDicomInventory(context: InventoryContext<AnyDicomTarget>): Promise<Inventory> {
  const { config, signal, pace } = context;
  const contexts = [{ abstractSyntax: UID.studyRootFind, transferSyntaxes: littleEndian }];

  // One association per study: some receivers end idle associations while an audit waits.
  async function associated<T>(act: (association: Association) => Promise<T>): Promise<T> {
    await pace();
    const association = await connect(await queryOptions(config, contexts, signal)).catch((error: unknown) => {
      throw dicomError(error, 'connect');
    });
    try {
      if (association.acceptedContexts.length === 0) throw noQueries();
      return await act(association);
    } catch (error) {
      association.abort();
      throw dicomError(error, 'verify');
    } finally {
      await association.release();
    }
  }

  async function read(association: Association, { instances }: StudyToList) {
    const listing = new Map<string, true>();
    for (const [seriesInstanceUid, series] of Map.groupBy(instances, (one) => one.instance.seriesInstanceUid)) {
      await pace();
      const part = { studyInstanceUid: series[0]?.instance.studyInstanceUid ?? '', seriesInstanceUid };
      const { listed } = await listedUids(association, part, '', signal);
      for (const uid of listed) listing.set(uid, true);
    }
    const missing = new Map(
      instances.flatMap((one) => (listing.has(one.instance.sopInstanceUid) ? [] : [[one.instance, one] as const])),
    );
    const asked = await oneByOne(association, [...missing.keys()], signal, pace);
    const answers = new Map<ListedInstance, 'there' | string>();
    const lacking = new Set(asked.lacking);
    const unreported = new Set(asked.unreported);
    for (const [instance, listed] of missing) {
      if (unreported.has(instance)) answers.set(listed, 'the receiver truncates its responses');
      else if (!lacking.has(instance)) answers.set(listed, 'there');
    }
    return { listing, answers };
  }

  await associated(async () => {});
  let study: OneByOne;
  const check = new ContentCheck((instance, use) => study.retrieve(instance, use), context);
  return {
    async *list(asked) {
      const { listing, answers } = await associated((association) => read(association, asked));
      study = new OneByOne(context, asked.instances);
      try {
        yield* heldByUid(asked, listing, {
          describe: async (instance, _listed, others) => (asked.content ? check.compare(instance, others) : {}),
          confirmMissing: async () => answers,
        });
      } finally {
        await study.close();
      }
    },
    close: async () => {},
  };
}
