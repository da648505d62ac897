import { DispatchError } from '@dicom-dispatch/core';
import type { Holding, Inventory, InventoryContext, ListedInstance, StudyToList } from '@dicom-dispatch/target-kit';
import { HttpConnection, maxInstanceBytes } from '../http/index.ts';
import { compareDataSets, ignoredTags, type Comparison } from '../inventory/index.ts';
import { peekSopInstanceUid } from '../pull/index.ts';
import { xnatError } from './errors.ts';
import { placeOf } from './import-instance.ts';
import { listFiles, listScans } from './list-scans.ts';
import type { XnatTarget } from './schema.ts';
import { XnatLogin } from './xnat-login.ts';

/**
 * Content of a session in the archive. XNAT chooses the names of files, so the files of each scan are only counted. They are opened
 * and identified if the number of a scan differs from the expected one, or if contents are compared.
 *
 * @throws {DispatchError} in stage `connect`: `target-misconfigured` for the prearchive
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
  { study, instances, content }: StudyToList,
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
    if (there.length === some.length && !content) for (const instance of some) yield { kind: 'held', instance };
    else yield* openEach(some, there, login, { content, config, signal, pace });
  }
}

interface Opening extends Pick<InventoryContext<XnatTarget>, 'config' | 'signal' | 'pace'> {
  readonly content: boolean;
}

/** Reads the SOP Instance UID of each file, and compares its data set if contents are compared. */
async function* openEach(
  instances: readonly ListedInstance[],
  files: readonly string[],
  login: XnatLogin,
  { content, config, signal, pace }: Opening,
): AsyncGenerator<Holding, void, undefined> {
  const isIgnored = await ignoredTags(config.audit?.ignore ?? []);
  const wanted = new Map(instances.map((one) => [one.instance.sopInstanceUid, one]));
  const found = new Map<string, Comparison | undefined>();
  let unknown = 0;
  for (const path of files) {
    await pace();
    const answer = await login.request({ method: 'GET', path, signal });
    if (answer.status !== 200) throw await xnatError(answer, 'the download');
    const peeked = await peekSopInstanceUid(answer.chunks(maxInstanceBytes));
    if (!peeked) {
      unknown += 1;
      continue;
    }
    const { sopInstanceUid, body } = peeked;
    const instance = content ? wanted.get(sopInstanceUid) : undefined;
    if (instance) found.set(sopInstanceUid, await compareDataSets(instance, body, isIgnored));
    else if (!found.has(sopInstanceUid)) found.set(sopInstanceUid, undefined);
    await body[Symbol.asyncIterator]().return?.();
  }
  for (const instance of instances) {
    const uid = instance.instance.sopInstanceUid;
    if (found.has(uid)) yield { kind: 'held', instance, ...found.get(uid) };
    else if (unknown > 0) yield { kind: 'unread', instance, reason: 'XNAT has files that cannot be read as DICOM' };
  }
  for (const uid of found.keys()) if (!wanted.has(uid)) yield { kind: 'extra', name: uid };
}
