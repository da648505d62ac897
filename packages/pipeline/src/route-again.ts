import { randomBytes } from 'node:crypto';
import type { Priority } from '@dicom-dispatch/core';
import type { Redis } from '@dicom-dispatch/runtime';
import type { OrthancClient } from '@dicom-dispatch/sources';
import { readFeedState } from '@dicom-dispatch/state/feed';
import type { Actor, PipelineContext } from './context.ts';
import { StudyEnqueuer, type Enqueued } from './enqueue-study.ts';
import { ledgersOf, planRoute } from './plan-route.ts';

export interface RouteRequest {
  readonly source: string;
  readonly orthancStudyId: string;
  /** Targets, or groups that select one of theirs; default: the result of the rules. */
  readonly targets?: readonly string[] | undefined;
  /** Name of the only rule that is applied. */
  readonly rule?: string | undefined;
  /** Remove all confirmations of the targets, and send every instance again. Default false: only missing instances. */
  readonly everything?: boolean | undefined;
  /** Default: the priority of the rules. */
  readonly priority?: Priority | undefined;
  /** The same one routes the same content once; default a new one. */
  readonly nonce?: string | undefined;
}

/**
 * Routes a study of a source now, even if it was routed before: by all rules, by one of them, or to the named targets. Named
 * targets and a single rule add deliveries; the stored result of the rules is unchanged.
 *
 * @param shared - for callers that route many studies; the caller closes it
 * @throws OperationError `not-found` for an unknown source, target or rule; `conflict` if no rule matches
 * @throws DispatchError `source-gone`, `source-unreachable` …
 */
export async function routeAgain(
  context: PipelineContext,
  request: RouteRequest,
  orthanc: OrthancClient,
  actor: Actor,
  shared?: StudyEnqueuer,
): Promise<Enqueued> {
  const config = context.config();
  const { snapshot, deliveries, rules, onSuccess } = await planRoute(context, request, orthanc);
  const { study, manifest, instanceTags } = snapshot;
  const byHand = request.targets !== undefined || request.rule !== undefined;
  const { source, orthancStudyId } = request;
  const known = await context.records.study({ source, orthancStudyId });
  if (request.everything === true) {
    const ledgers = await ledgersOf(context, source, study, deliveries);
    for (const { key } of ledgers) await context.ledger.forget(key);
  }
  const enqueuer = shared ?? new StudyEnqueuer(config, context.redis, context.records);
  try {
    const enqueued = await enqueuer.enqueue({
      source,
      epoch: known?.epoch ?? (await currentEpoch(context.redis, context.config().redis.prefix, source)),
      study,
      manifest,
      rules,
      deliveries: deliveries.map((one) => ({ ...one, priority: request.priority ?? one.priority })),
      ...(!byHand && { onSuccess }),
      byHand,
      instanceTags,
      nonce: request.nonce ?? randomBytes(8).toString('hex'),
    });
    const how = request.targets ? ' to this target' : request.rule === undefined ? '' : ` by the rule ${request.rule}`;
    await Promise.all(
      enqueued.added.map(({ deliveryId }) =>
        context.records.update(deliveryId, {}, { kind: 'operator', text: `routed by ${actor.name}${how}` }),
      ),
    );
    return enqueued;
  } finally {
    if (!shared) await enqueuer.close();
  }
}

/** The current epoch of the feed of a source. */
export async function currentEpoch(redis: Redis, prefix: string, source: string): Promise<string> {
  const feed = await readFeedState(redis, prefix, source);
  return String(feed?.epoch ?? 1);
}
