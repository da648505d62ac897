import { randomBytes } from 'node:crypto';
import { OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import { sourceError, type OrthancClient } from '@dicom-dispatch/sources';
import { readFeedState } from '@dicom-dispatch/state/feed';
import { Batches, maxBatchStudies, type Batch, type BatchState } from '@dicom-dispatch/state/batches';

/** Filter for studies of a source. Omitted fields match everything. */
export interface BatchFilter {
  readonly source: string;
  /** StudyDate, `YYYYMMDD`, both inclusive. */
  readonly from?: string | undefined;
  readonly until?: string | undefined;
  readonly modality?: string | undefined;
  /** Part of StudyDescription; `*` and `?` as in C-FIND. */
  readonly description?: string | undefined;
}

export interface BatchRequest extends BatchFilter {
  /** Targets; default: the result of the rules. */
  readonly targets?: readonly string[] | undefined;
  /** Routes by this rule alone; excludes `targets`. */
  readonly rule?: string | undefined;
  /** Default: no limit. */
  readonly studiesPerMinute?: number | undefined;
}

/**
 * Orthanc ids of the matching studies.
 *
 * @throws OperationError `not-found` for an unknown source; `conflict` for a disabled source; `invalid` for more than
 *   {@link maxBatchStudies}; DispatchError
 */
export async function findBatchStudies(
  context: PipelineContext,
  filter: BatchFilter,
  orthanc: OrthancClient,
): Promise<string[]> {
  const { source, from, until, modality, description } = filter;
  const configured = context.config().sources[source];
  if (!configured) throw new OperationError('not-found', `there is no source "${source}"`);
  if (!configured.enabled) {
    const message = `the source ${source} is disabled: its batches are not routed. Enable it, or route single studies`;
    throw new OperationError('conflict', message);
  }
  const query = {
    ...((from !== undefined || until !== undefined) && { StudyDate: `${from ?? ''}-${until ?? ''}` }),
    ...(modality !== undefined && { ModalitiesInStudy: modality }),
    ...(description !== undefined && {
      StudyDescription: /[*?]/.test(description) ? description : `*${description}*`,
    }),
  };
  const ids = await orthanc.findIds({ level: 'studies', query, limit: maxBatchStudies + 1 }).catch((error: unknown) => {
    throw sourceError(error, source);
  });
  if (ids.length <= maxBatchStudies) return ids;
  const max = maxBatchStudies.toLocaleString('en-GB');
  throw new OperationError('invalid', `more than ${max} studies match: narrow the dates`);
}

/**
 * Begins to route all matching studies that the source has now, by the router that leads the source.
 *
 * @throws OperationError `not-found` for an unknown source, target or rule; `conflict` for a disabled source; `invalid`
 *   without or with too many matches, or with both targets and a rule; DispatchError
 */
export async function startBatch(
  context: PipelineContext,
  request: BatchRequest,
  orthanc: OrthancClient,
  actor: Actor,
): Promise<Batch> {
  const config = context.config();
  const { source, targets, rule, studiesPerMinute } = request;
  for (const name of targets ?? []) if (!config.groups[name]) context.queues.known(config, name);
  if (rule !== undefined && !config.rules.some(({ name }) => name === rule)) {
    throw new OperationError('not-found', `there is no rule "${rule}"`);
  }
  if (targets && rule !== undefined) throw new OperationError('invalid', 'name targets or a rule, not both');
  const ids = await findBatchStudies(context, request, orthanc);
  if (ids.length === 0) throw new OperationError('invalid', `no study of ${source} matches this filter`);
  const batches = batchesOf(context);
  const id = `b-${randomBytes(6).toString('hex')}`;
  const epoch = (await readFeedState(context.redis, config.redis.prefix, source))?.epoch;
  await batches.create(id, { source, targets, rule, by: actor.name, epoch }, ids, studiesPerMinute);
  return readBatch(context, id);
}

export async function listBatches(context: PipelineContext): Promise<Batch[]> {
  return batchesOf(context).list();
}

/** @throws OperationError `not-found` */
export async function readBatch(context: PipelineContext, id: string): Promise<Batch> {
  const batch = await batchesOf(context).read(id);
  if (!batch) throw new OperationError('not-found', `there is no batch ${id}, or it ended more than 90 days ago`);
  return batch;
}

const changes = {
  pause: { from: ['running'], to: 'paused' },
  resume: { from: ['paused'], to: 'running' },
  cancel: { from: ['running', 'paused'], to: 'cancelled' },
} as const satisfies Readonly<Record<string, { from: readonly BatchState[]; to: BatchState }>>;
export type BatchAction = keyof typeof changes;

/** @throws OperationError `not-found`; `conflict` if its state does not allow the action */
export async function changeBatch(context: PipelineContext, id: string, action: BatchAction): Promise<Batch> {
  const { from, to } = changes[action];
  const isDone = await batchesOf(context).change(id, from, to);
  const batch = await readBatch(context, id);
  if (!isDone) throw new OperationError('conflict', `batch ${id} is ${batch.state}: it cannot be ${to}`);
  return batch;
}

/**
 * @param studiesPerMinute - at least 1; undefined: no limit
 * @throws OperationError `not-found`, `invalid`
 */
export async function setBatchRate(
  context: PipelineContext,
  id: string,
  studiesPerMinute: number | undefined,
): Promise<Batch> {
  await readBatch(context, id);
  if (studiesPerMinute !== undefined && !(Number.isInteger(studiesPerMinute) && studiesPerMinute >= 1)) {
    throw new OperationError('invalid', `a rate is a whole number of at least 1, not ${studiesPerMinute}`);
  }
  await batchesOf(context).setRate(id, studiesPerMinute);
  return readBatch(context, id);
}

function batchesOf({ redis, config }: PipelineContext): Batches {
  return new Batches(redis, config().redis.prefix);
}
