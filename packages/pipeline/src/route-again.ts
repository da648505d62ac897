import { randomBytes } from 'node:crypto';
import { compileRules, ledgerKeyOf, routeStudy as applyRules } from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { Actor, PipelineContext } from './context.ts';
import { StudyEnqueuer, type Enqueued } from './enqueue-study.ts';
import { OperationError } from './operation-error.ts';
import { planByName } from './resolve-deliveries.ts';
import { readForRouting } from './read-for-routing.ts';

export interface RouteRequest {
  readonly source: string;
  readonly orthancStudyId: string;
  /** Where to: targets, or groups that choose one of theirs; default what the rules say. */
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
  context: PipelineContext,
  request: RouteRequest,
  orthanc: OrthancClient,
  actor: Actor,
): Promise<Enqueued> {
  const config = context.config();
  if (!config.sources[request.source]) throw new OperationError('not-found', `there is no source "${request.source}"`);
  for (const name of request.targets ?? []) if (!config.groups[name]) context.queues.known(config, name);
  const rules = compileRules(config.rules, config);
  const { study, manifest, instanceTags } = await readForRouting(orthanc, config, rules, request);
  // Somebody wants it now: what rules wait for does not matter.
  const routing = applyRules(rules, study.facts, { hasWaited: () => true });
  const deliveries = request.targets
    ? planByName(config, request.targets, { rules: [], priority: routing.priority })
    : routing.deliveries;
  if (deliveries.length === 0) {
    throw new OperationError('conflict', 'no rule matches this study: name the targets that are to get it');
  }
  const { studyInstanceUid, orthancStudyId } = study;
  const key = { source: request.source, orthancStudyId, studyInstanceUid };
  const known = await context.records.study(key);
  if (request.everything === true) await forgetAll();
  const enqueuer = new StudyEnqueuer(config, context.redis, context.records);
  try {
    const enqueued = await enqueuer.enqueue({
      source: request.source,
      epoch: known?.epoch ?? (await currentEpoch(context, request.source)),
      study,
      manifest,
      rules: request.targets ? [] : routing.rules,
      deliveries,
      ...(!request.targets && { onSuccess: routing.onSuccess }),
      instanceTags,
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

  /** Of a group any member may be chosen, so what all of them have confirmed is forgotten, where they are now. */
  async function forgetAll(): Promise<void> {
    for (const { to, group, transform } of deliveries) {
      for (const target of group?.members ?? [to]) {
        const targetConfig = config.targets[target];
        if (!targetConfig) continue;
        const verdict = await context.places.look(target, targetConfig);
        // Where nobody has decided yet, nothing counts as confirmed.
        if (verdict.kind === 'undecided') continue;
        const name = transform ?? targetConfig.transform;
        const definition = name === undefined ? undefined : config.transforms[name];
        await context.ledger.forget(
          ledgerKeyOf({
            ...key,
            target,
            ledger: verdict.ledger,
            ...(name !== undefined && definition && { transform: { name, definition } }),
          }),
        );
      }
    }
  }
}

async function currentEpoch(context: PipelineContext, source: string): Promise<string> {
  const text = await context.redis.get(context.keys.feed(source));
  const epoch: unknown = text === null ? undefined : (JSON.parse(text) as { epoch?: unknown }).epoch;
  return typeof epoch === 'number' ? String(epoch) : '1';
}
