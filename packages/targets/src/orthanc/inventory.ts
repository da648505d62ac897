import type { Inventory, InventoryContext, ListedInstance } from '@dicom-dispatch/target-kit';
import { HttpConnection } from '../http/index.ts';
import { compareContent, heldByUid, sha256Of } from '../inventory/index.ts';
import { contentOf } from './compare-content.ts';
import { fetchFile, findResources, foundInstance } from './pull.ts';
import { readSystem } from './read-system.ts';
import type { OrthancTarget } from './schema.ts';

interface Listed {
  readonly id: string;
  readonly sizeBytes: number | undefined;
}

/** Content of an Orthanc: UIDs and sizes by `/tools/find`, contents by `/instances/{id}/file`. */
export async function openOrthancInventory(context: InventoryContext<OrthancTarget>): Promise<Inventory> {
  const { config, signal, pace } = context;
  const http = await HttpConnection.open(config, { connections: 1 });
  try {
    await pace();
    await readSystem(http, signal);
  } catch (thrown) {
    await http.close();
    throw thrown;
  }
  return {
    async *list(study) {
      await pace();
      const query = { Level: 'Instance', Query: { StudyInstanceUID: study.study.studyInstanceUid } };
      const { all } = await findResources(http, query, foundInstance, signal);
      const listing = new Map(
        all.flatMap(({ ID: id, MainDicomTags: tags, FileSize: sizeBytes }) => {
          const uid = tags['SOPInstanceUID'];
          return uid === undefined ? [] : [[uid, { id, sizeBytes }] as const];
        }),
      );
      yield* heldByUid(study, listing, {
        describe: async (instance, listed) => (listed ? describe(http, instance, listed, study.content, context) : {}),
        // Orthanc lists all its instances.
        confirmMissing: async () => new Map(),
      });
    },
    close: () => http.close(),
  };
}

/** A different size or digest may be due to different file meta information around the same data set (PS3.10 section 7.1). */
async function describe(
  http: HttpConnection,
  instance: ListedInstance,
  { id, sizeBytes }: Listed,
  content: boolean,
  { signal, pace }: InventoryContext<OrthancTarget>,
) {
  const isOtherSize = sizeBytes !== undefined && instance.sizeBytes !== undefined && sizeBytes !== instance.sizeBytes;
  if (!content && !isOtherSize) return { sizeBytes };
  if (!isOtherSize) {
    await pace();
    const digest = async (): Promise<string> => sha256Of((await fetchFile(http, id, undefined, signal)).body);
    if ((await compareContent(instance, digest)) === 'same') return { sizeBytes, content: 'same' as const };
  }
  await pace();
  const [there, here] = [
    await contentOf((await fetchFile(http, id, undefined, signal)).body),
    await instance
      .open()
      .then(({ body }) => contentOf(body))
      .catch(() => undefined),
  ];
  const isSame = there !== undefined && there === here;
  return isSame ? { content: 'same' as const } : { sizeBytes, content: 'different' as const };
}
