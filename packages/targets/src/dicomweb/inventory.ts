import { DispatchError } from '@dicom-dispatch/core';
import type { Inventory, InventoryContext, ListedInstance } from '@dicom-dispatch/target-kit';
import { HttpConnection } from '../http/index.ts';
import { ContentCheck, heldByUid } from '../inventory/index.ts';
import { uidOf } from './dicom-json.ts';
import { greet } from './greet.ts';
import { searchAll, searchPage } from './qido.ts';
import { fitsPath, searchIn } from './resource-address.ts';
import { fetchInstance } from './retrieve.ts';
import type { DicomwebTarget } from './schema.ts';

const sopInstanceUid = '00080018';

/** What a DICOMweb service lists by QIDO-RS; contents by WADO-RS, instance by instance. */
export async function openDicomwebInventory(context: InventoryContext<DicomwebTarget>): Promise<Inventory> {
  const { config, signal, pace } = context;
  const base = config.qidoUrl ?? config.url;
  const http = await HttpConnection.open(config, { connections: 1 });
  try {
    await pace();
    const { ability } = await greet(http, config, '2.25.0', signal);
    if (ability !== 'yes') throw noSearch(http.host);
  } catch (thrown) {
    await http.close();
    throw thrown;
  }

  async function isListed({ instance }: ListedInstance): Promise<boolean> {
    await pace();
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid: uid } = instance;
    const { address, keys } = searchIn(base, 'instances', studyInstanceUid, seriesInstanceUid);
    const query = { address, keys: { ...keys, SOPInstanceUID: uid }, uidTag: sopInstanceUid };
    const results = await searchPage(http, query, { limit: 2, offset: 0 }, signal);
    return results.some((result) => uidOf(result, sopInstanceUid) === uid);
  }

  const check = new ContentCheck(async ({ instance }, use) => {
    await pace();
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid: uid } = instance;
    if (![studyInstanceUid, seriesInstanceUid, uid].every(fitsPath)) throw notRetrievable();
    const { address } = searchIn(config.wadoUrl ?? config.url, 'instances', studyInstanceUid, seriesInstanceUid);
    const path = `${address}/${encodeURIComponent(uid)}`;
    return use((await fetchInstance(http, path, signal).catch(notServed)).body);
  }, context);

  return {
    async *list(study) {
      const listing = new Map<string, true>();
      const query = { ...searchIn(base, 'instances', study.study.studyInstanceUid), uidTag: sopInstanceUid };
      for await (const result of searchAll(http, query, signal, { beforePage: pace })) {
        const uid = uidOf(result, sopInstanceUid);
        if (uid !== undefined) listing.set(uid, true);
      }
      yield* heldByUid(study, listing, {
        describe: async (instance, _listed, others) => (study.content ? check.compare(instance, others) : {}),
        // The service may limit its lists: each instance is queried before it counts as missing.
        async confirmMissing(missing) {
          const there = new Map<ListedInstance, 'there'>();
          for (const instance of missing) if (await isListed(instance)) there.set(instance, 'there');
          return there;
        },
      });
    },
    close: () => http.close(),
  };
}

function notRetrievable(): DispatchError {
  return new DispatchError('target-error', 'a UID consists of dots: DICOMweb cannot retrieve the instance', {
    stage: 'verify',
  });
}

/** A service that supports searches but no retrieval can still be audited for missing instances. */
function notServed(thrown: unknown): never {
  if (!(thrown instanceof DispatchError) || thrown.code !== 'target-misconfigured') throw thrown;
  throw new DispatchError('target-error', thrown.message, { cause: thrown, stage: 'verify' });
}

function noSearch(host: string): DispatchError {
  return new DispatchError('target-misconfigured', `${host} does not support searches (QIDO-RS)`, {
    stage: 'connect',
    remedy: 'Set qidoUrl to the address that supports searches, or allow the user to search.',
  });
}
