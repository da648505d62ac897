import { DispatchError } from '@dicom-dispatch/core';
import type { Holding, Inventory, InventoryContext, ListedInstance, StudyToList } from '@dicom-dispatch/target-kit';
import { HttpConnection, maxInstanceBytes } from '../http/index.ts';
import { peekSopInstanceUid } from '../pull/index.ts';
import { xnatError } from './errors.ts';
import { placeOf } from './import-instance.ts';
import { listFiles, listScans } from './list-scans.ts';
import type { XnatTarget } from './schema.ts';
import { XnatLogin } from './xnat-login.ts';

/**
 * Content of a session in the archive. XNAT renames files and may change them by its scripts: so the files of each
 * scan are counted, and they are opened to identify them only in a scan with missing or additional files.
 */
export async function openXnatInventory(context: InventoryContext<XnatTarget>): Promise<Inventory> {
  const { config, signal, pace } = context;
  if (config.destination === 'prearchive') {
    throw new DispatchError(
      'target-misconfigured',
      'a prearchive cannot be audited: sessions leave it when they are filed',
      {
        stage: 'connect',
      },
    );
  }
  const http = await HttpConnection.open(config, { connections: 1 });
  const login = new XnatLogin(http);
  const close = async (): Promise<void> => {
    await login.end();
    await http.close();
  };
  try {
    await pace();
    await login.begin(signal);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return { list: (study) => listSession(study, login, context), close };
}

async function* listSession(
  { study, instances }: StudyToList,
  login: XnatLogin,
  { config, signal, pace }: InventoryContext<XnatTarget>,
): AsyncGenerator<Holding, void, undefined> {
  const { project, subject, session } = placeOf(config, { study });
  const [p, s, e] = [project, subject, session].map(encodeURIComponent);
  const path = `/projects/${p}/subjects/${s}/experiments/${e}`;
  await pace();
  const scans = (await listScans(login, `/data${path}/scans?format=json&columns=ID,UID`, signal)) ?? [];
  const files = new Map<string, string[]>();
  for (const { ID: id, UID: uid } of scans) {
    if ((typeof id !== 'string' && typeof id !== 'number') || id === '') continue;
    await pace();
    const found = (await listFiles(login, path, id, signal)) ?? [];
    const series = typeof uid === 'string' ? uid : '';
    files.set(series, [...(files.get(series) ?? []), ...found]);
  }
  const bySeries = Map.groupBy(instances, ({ instance }) => instance.seriesInstanceUid);
  const isNamed = !files.has('');
  for (const [series, some] of isNamed ? bySeries : new Map([['', instances]])) {
    const there = isNamed ? (files.get(series) ?? []) : [...files.values()].flat();
    if (there.length === some.length) for (const instance of some) yield { kind: 'held', instance };
    else yield* openEach(some, there, login, { signal, pace });
  }
}

/** Reads the SOP Instance UID of each file. */
async function* openEach(
  instances: readonly ListedInstance[],
  files: readonly string[],
  login: XnatLogin,
  { signal, pace }: Pick<InventoryContext<XnatTarget>, 'signal' | 'pace'>,
): AsyncGenerator<Holding, void, undefined> {
  const uids = new Set<string>();
  let unknown = 0;
  for (const path of files) {
    await pace();
    const answer = await login.request({ method: 'GET', path, signal });
    if (answer.status !== 200) throw await xnatError(answer, 'the download');
    const peeked = await peekSopInstanceUid(answer.chunks(maxInstanceBytes));
    if (peeked) uids.add(peeked.sopInstanceUid);
    else unknown += 1;
    await peeked?.body[Symbol.asyncIterator]().return?.();
  }
  for (const instance of instances) {
    if (uids.delete(instance.instance.sopInstanceUid)) yield { kind: 'held', instance };
    else if (unknown > 0) yield { kind: 'unread', instance, reason: 'XNAT has files that cannot be read as DICOM' };
  }
  for (const uid of uids) yield { kind: 'extra', name: uid };
}
