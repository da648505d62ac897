import { randomBytes } from 'node:crypto';
import { compileRules, routeStudy as applyRules } from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/sources';
import { readSnapshot } from '@dicom-dispatch/sources';
import type { Actor, OperationsContext } from './context.ts';
import { StudyEnqueuer, type Enqueued } from './enqueue-study.ts';
import { OperationError } from './operation-error.ts';

export interface RouteRequest {
  readonly source: string;
  readonly orthancStudyId: string;
  /** Where to; default what the rules say. */
  readonly targets?: readonly string[] | undefined;
  /** Forget what the targets have confirmed, and send every instance again. Default false: only what is missing. */
  readonly everything?: boolean | undefined;
}

/**
 * Routes a study of a source now, whether it was routed before or not: by the rules, or to the targets that are named.
 *
 * @throws OperationError `not-found` for an unknown source or target; `conflict` when no rule matches
 * @throws DispatchError `source-gone`, `source-unreachable` …
 */
export async function routeAgain(
  context: OperationsContext,
  request: RouteRequest,
  orthanc: OrthancClient,
  actor: Actor,
): Promise<Enqueued> {
  const config = context.config();
  if (!config.sources[request.source]) throw new OperationError('not-found', `there is no source "${request.source}"`);
  for (const target of request.targets ?? []) context.queues.known(config, target);
  const { study, manifest } = await readSnapshot(orthanc, request.source, request.orthancStudyId);
  const routing = applyRules(compileRules(config.rules), study.facts);
  const targets = request.targets ?? routing.targets;
  if (targets.length === 0) {
    throw new OperationError('conflict', 'no rule matches this study: name the targets that are to get it');
  }
  const key = { source: request.source, studyInstanceUid: study.studyInstanceUid };
  const known = await context.records.study(key);
  if (request.everything === true) {
    await Promise.all(targets.map((target) => context.ledger.forget({ ...key, target })));
  }
  const enqueuer = new StudyEnqueuer(config, context.redis, context.records);
  try {
    const enqueued = await enqueuer.enqueue({
      source: request.source,
      epoch: known?.epoch ?? (await currentEpoch(context, request.source)),
      study,
      manifest,
      rules: request.targets ? [] : routing.rules,
      targets,
      priority: routing.priority,
      nonce: randomBytes(8).toString('hex'),
    });
    await Promise.all(
      enqueued.added.map(({ deliveryId }) =>
        context.records.update(
          deliveryId,
          {},
          { kind: 'operator', text: `routed by ${actor.name}${request.targets ? ' to this target' : ''}` },
        ),
      ),
    );
    return enqueued;
  } finally {
    await enqueuer.close();
  }
}

async function currentEpoch(context: OperationsContext, source: string): Promise<string> {
  const text = await context.redis.get(context.keys.feed(source));
  const epoch: unknown = text === null ? undefined : (JSON.parse(text) as { epoch?: unknown }).epoch;
  return typeof epoch === 'number' ? String(epoch) : '1';
}
