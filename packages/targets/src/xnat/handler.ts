import { contractVersion, type DeliveryRun, type TargetHandler } from '@dicom-dispatch/target-kit';
import { inLanes } from '@dicom-dispatch/target-kit/flow';
import { HttpConnection } from '../http/index.ts';
import { xnatAbout } from './about.ts';
import { archiveSession } from './archive-session.ts';
import { nowhere } from './errors.ts';
import { importInstance, placeOf, type XnatPlace } from './import-instance.ts';
import { openXnatInventory } from './inventory.ts';
import { commitSession, openSessions } from './prearchive-session.ts';
import { xnatTarget, type XnatTarget } from './schema.ts';
import { testXnat } from './test-connection.ts';
import { accepted, hasArchived, verifyArchived } from './verify-archived.ts';
import { unfiledKey, verifySession, type Sent, type Unfiled } from './verify-session.ts';
import { XnatLogin } from './xnat-login.ts';

export const xnatHandler: TargetHandler<XnatTarget> = {
  contractVersion,
  type: 'xnat',
  about: xnatAbout,
  schema: xnatTarget,
  deliver,
  testConnection: testXnat,
  inventory: openXnatInventory,
};

async function deliver(run: DeliveryRun<XnatTarget>): Promise<void> {
  const { config, signal } = run;
  run.stage('connect');
  const http = await HttpConnection.open(config, { connections: config.maxParallel });
  const login = new XnatLogin(http);
  try {
    await login.begin(signal);
    const place = placeOf(config, run);
    run.stage('transfer');
    const unfiled = await transfer(run, login, place);
    if (unfiled.paths.length === 0) return;
    if (config.verify === 'list') {
      run.stage('verify');
      await verifySession(run, login, place, unfiled);
    }
    run.stage('finalize');
    const { paths, before } = unfiled;
    await run.state.set(unfiledKey, { paths, before, filing: true } satisfies Unfiled);
    let isGone = false;
    for (const source of unfiled.paths) {
      if (config.destination === 'prearchive') {
        isGone = !(await commitSession(login, source, { signal, timeoutMs: config.timeout })) || isGone;
      } else {
        const overwrite = config.overwrite === 'delete' && !unfiled.whole ? 'append' : config.overwrite;
        const request = { source, place, overwrite, triggerPipelines: config.triggerPipelines };
        isGone = !(await archiveSession(login, request, signal)) || isGone;
      }
    }
    // An earlier attempt whose response was lost, or XNAT itself, has archived the session: the archive then has all instances.
    if (isGone && !(await hasArchived(login, place, accepted(run, unfiled.quarantined), signal))) throw nowhere();
    await run.state.delete(unfiledKey);
  } finally {
    await login.end();
    await http.close();
  }
}

/** Sends pending instances, and stores the paths of their sessions for later attempts. */
async function transfer(run: DeliveryRun<XnatTarget>, login: XnatLogin, place: XnatPlace): Promise<Sent> {
  const earlier = await run.state.get<Unfiled>(unfiledKey);
  if (!earlier && run.config.destination === 'archive') await verifyArchived(run, login, place);
  const before = earlier?.before ?? confirmedBefore(run);
  const paths = new Set(earlier?.paths ?? (await leftByEarlier(run, login, place, before)));
  const { quarantined } = await inLanes(
    run,
    { lanes: run.config.maxParallel, asPart10: true },
    async (opened, { signal }) => {
      const path = await importInstance(run, login, { place, opened }, signal);
      if (!paths.has(path)) {
        paths.add(path);
        // Before the instance counts as delivered: a session that is not archived yet must not be lost in a crash.
        await run.state.set(unfiledKey, { paths: [...paths], before } satisfies Unfiled);
      }
      return { kind: 'delivered', answer: 'imported into the prearchive' };
    },
  );
  const whole = Object.keys(before).length === 0;
  const filing = earlier?.filing === true && run.pending.length === 0;
  return { paths: [...paths], before, whole, filing, quarantined: [...quarantined, ...(run.quarantined ?? [])] };
}

/**
 * Sessions of the study that an earlier delivery has left in the prearchive before they were complete: they are verified and
 * committed with this one. Those that a reviewer has archived, moved or deleted are not searched.
 */
async function leftByEarlier(
  { config, study, signal }: DeliveryRun<XnatTarget>,
  login: XnatLogin,
  place: XnatPlace,
  before: Readonly<Record<string, number>>,
): Promise<string[]> {
  const isReviewed = config.destination === 'prearchive' && Object.keys(before).length > 0;
  return isReviewed ? openSessions(login, place, study.studyInstanceUid, signal) : [];
}

/** Number of instances that an earlier delivery sent, by series: they are not in the session of this delivery. */
function confirmedBefore({ manifest, pending, quarantined = [] }: DeliveryRun<XnatTarget>): Record<string, number> {
  const open = new Set([...pending, ...quarantined].map(({ sourceId }) => sourceId));
  const before: Record<string, number> = {};
  for (const { sourceId, seriesInstanceUid } of manifest) {
    if (!open.has(sourceId)) before[seriesInstanceUid] = (before[seriesInstanceUid] ?? 0) + 1;
  }
  return before;
}
