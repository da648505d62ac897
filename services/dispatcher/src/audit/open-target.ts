import { DispatchError, type TargetConfig } from '@dicom-dispatch/core';
import { createTargetMemory } from '@dicom-dispatch/state/target-memory';
import { describeMove } from '@dicom-dispatch/state/target-places';
import type { Inventory, TargetHandler } from '@dicom-dispatch/target-kit';
import type { DispatcherContext } from '../dispatcher-context.ts';
import { otherInstances } from './other-instances.ts';
import { Pace } from './pace.ts';

/** An open target for an audit. */
export interface OpenTarget extends AsyncDisposable {
  readonly config: TargetConfig;
  readonly handler: TargetHandler;
  /** Ledger of the current place of the target. */
  readonly ledger: string;
  readonly inventory: Inventory;
  readonly pace: Pace;
}

const usualRate = 10;

/** @throws DispatchError if the target cannot be queried */
export async function openTarget(
  { context, signal }: { readonly context: DispatcherContext; readonly signal: AbortSignal },
  name: string,
): Promise<OpenTarget> {
  const { redis, places, log } = context;
  const { config, handler } = await context.resolve(name);
  if (!handler.inventory) {
    throw new DispatchError('target-misconfigured', `a target of type ${config.type} cannot list its contents`);
  }
  const verdict = await places.look(name, config);
  if (verdict.kind === 'undecided') throw new DispatchError('target-misconfigured', describeMove(name, verdict));
  const pace = new Pace(config.audit?.rate ?? usualRate, signal);
  const inventory = await handler.inventory({
    config,
    targetName: name,
    memory: createTargetMemory(redis, context.config.redis.prefix, name),
    log: { info: (text, facts) => log.info(facts ?? {}, text), warn: (text, facts) => log.warn(facts ?? {}, text) },
    others: () => otherInstances({ context, name, config, handler, ledger: verdict.ledger, signal }),
    pace: () => pace.wait(),
    signal,
  });
  return {
    config,
    handler,
    ledger: verdict.ledger,
    inventory,
    pace,
    async [Symbol.asyncDispose]() {
      await inventory.close().catch((error: unknown) => log.warn({ err: error, target: name }, 'target not closed'));
    },
  };
}
