import { asDispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { verdictOf, type Suspects } from '../flow/index.ts';
import type { HttpConnection } from '../http/index.ts';
import { cannotTell, notListedYet, unmentioned } from './errors.ts';
import type { SearchAbility } from './greet.ts';
import type { DicomwebTarget } from './schema.ts';
import type { PutOff, UnknownInstance } from './send-batches.ts';
import { listForRun, missingAfterWait } from './verify-listed.ts';

/** Set while the target has accepted instances without saying which ones. */
const openKey = 'dicomweb-unconfirmed';

/** What an earlier attempt sent and was not told about may be listed by now. */
export async function withoutArrived(
  run: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  search: SearchAbility,
): Promise<readonly ManifestInstance[]> {
  if (search !== 'yes' || !(await run.state.get<boolean>(openKey))) return run.pending;
  const listed = await listForRun(run, http);
  const [there, missing] = partition(run.pending, listed);
  for (const instance of there) await run.report(instance, { kind: 'delivered' });
  await run.state.delete(openKey);
  return missing;
}

/** What is known now of instances of which the answers did not tell. */
export interface Settled {
  /** What was put off before, and what turned out not to be stored. */
  readonly failed: PutOff | undefined;
  readonly quarantined: readonly ManifestInstance[];
}

/** Finds out what became of instances of which the answers did not tell, and reports those that are there. */
export async function settleUnknown(
  run: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  sent: {
    readonly search: SearchAbility;
    readonly suspects: Suspects;
    readonly unknown: readonly UnknownInstance[];
    readonly putOff: PutOff | undefined;
  },
): Promise<Settled> {
  const { search, suspects, unknown, putOff } = sent;
  const { spoken = [], silent = [] } = Object.groupBy(unknown, ({ why }) =>
    why === 'unmentioned' ? 'spoken' : 'silent',
  );
  const missing = await settleUnmentioned(run, http, search, spoken);
  const quarantined: ManifestInstance[] = [];
  let failed = putOff;
  for (const instance of missing) {
    const error = asDispatchError(await suspects.judge(instance, unmentioned()));
    if (verdictOf(error) === 'quarantine') {
      quarantined.push(instance);
      await run.report(instance, { kind: 'quarantined', error });
    } else {
      failed = { error: failed?.error ?? error, count: (failed?.count ?? 0) + 1 };
    }
  }
  if (silent.length === 0) return { failed, quarantined };
  if (!failed) run.stage('verify');
  if (search === 'yes') await settleBySearch(run, http, silent);
  else await settleByStatus(run, silent);
  return { failed, quarantined };
}

/** The answer spoke of other instances: these are there, or were not stored. Gives those that were not. */
async function settleUnmentioned(
  run: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  search: SearchAbility,
  unknown: readonly UnknownInstance[],
): Promise<readonly ManifestInstance[]> {
  const instances = unknown.map(({ instance }) => instance);
  if (instances.length === 0 || search !== 'yes') return instances;
  const listed = await listForRun(run, http);
  const [there, missing] = partition(instances, listed);
  for (const instance of there) await run.report(instance, { kind: 'delivered' });
  return missing;
}

async function settleBySearch(
  run: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  unknown: readonly UnknownInstance[],
): Promise<void> {
  await run.state.set(openKey, true);
  const instances = unknown.map(({ instance }) => instance);
  const missing = new Set(
    await missingAfterWait(
      (options) => listForRun(run, http, options),
      instances,
      run.config.verifyTimeout,
      run.signal,
    ),
  );
  for (const instance of instances) if (!missing.has(instance)) await run.report(instance, { kind: 'delivered' });
  if (missing.size > 0) throw notListedYet(missing.size);
  await run.state.delete(openKey);
}

/** Nobody can be asked: what came with 200 was stored (PS3.18 table 10.5.3-1), of the rest nothing is known. */
async function settleByStatus(run: DeliveryRun<DicomwebTarget>, unknown: readonly UnknownInstance[]): Promise<void> {
  const { known = [], open = [] } = Object.groupBy(unknown, ({ why }) =>
    why === 'stored-by-status' ? 'known' : 'open',
  );
  for (const { instance } of known) {
    await run.report(instance, { kind: 'delivered', warning: 'confirmed by the status of the answer only' });
  }
  if (open.length > 0) throw cannotTell(open.length);
}

function partition(
  instances: readonly ManifestInstance[],
  listed: ReadonlySet<string>,
): [there: ManifestInstance[], missing: ManifestInstance[]] {
  const { there = [], missing = [] } = Object.groupBy(instances, ({ sopInstanceUid }) =>
    listed.has(sopInstanceUid) ? 'there' : 'missing',
  );
  return [there, missing];
}
