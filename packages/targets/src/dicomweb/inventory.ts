import { DispatchError } from '@dicom-dispatch/core';
import type { Inventory, InventoryContext, ListedInstance } from '@dicom-dispatch/target-kit';
import { HttpConnection } from '../http/index.ts';
import { heldByUid } from '../inventory/index.ts';
import { uidOf } from './dicom-json.ts';
import { greet } from './greet.ts';
import { searchAll, searchPage } from './qido.ts';
import type { DicomwebTarget } from './schema.ts';

const sopInstanceUid = '00080018';

/** What a DICOMweb service lists by QIDO-RS. It does not report sizes and contents. */
export async function openDicomwebInventory(context: InventoryContext<DicomwebTarget>): Promise<Inventory> {
  const { config, signal, pace } = context;
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
    const address = `${config.qidoUrl ?? config.url}/studies/${encodeURIComponent(studyInstanceUid)}/series/${encodeURIComponent(seriesInstanceUid)}/instances`;
    const query = { address, keys: { SOPInstanceUID: uid }, uidTag: sopInstanceUid };
    const results = await searchPage(http, query, { limit: 2, offset: 0 }, signal);
    return results.some((result) => uidOf(result, sopInstanceUid) === uid);
  }

  return {
    async *list(study) {
      const listing = new Map<string, true>();
      const address = `${config.qidoUrl ?? config.url}/studies/${encodeURIComponent(study.study.studyInstanceUid)}/instances`;
      await pace();
      for await (const result of searchAll(http, { address, uidTag: sopInstanceUid }, signal)) {
        const uid = uidOf(result, sopInstanceUid);
        if (uid !== undefined) listing.set(uid, true);
      }
      yield* heldByUid(
        study,
        listing,
        async () => ({}),
        // The service may limit its lists: each instance is queried before it counts as missing.
        async (missing) => {
          const there = new Map<ListedInstance, 'there'>();
          for (const instance of missing) if (await isListed(instance)) there.set(instance, 'there');
          return there;
        },
      );
    },
    close: () => http.close(),
  };
}

function noSearch(host: string): DispatchError {
  return new DispatchError('target-misconfigured', `${host} does not support searches (QIDO-RS)`, {
    stage: 'connect',
    remedy: 'Set qidoUrl to the address that supports searches, or allow the user to search.',
  });
}
