import { ledgerKeyOf, type TargetConfig } from '@dicom-dispatch/core';
import type { ListedInstance, TargetHandler } from '@dicom-dispatch/target-kit';
import type { DispatcherContext } from '../dispatcher-context.ts';
import { expectStudy } from './expected-study.ts';

interface Looking {
  readonly context: DispatcherContext;
  /** Name of the target. */
  readonly name: string;
  readonly config: TargetConfig;
  readonly handler: TargetHandler;
  /** Ledger of the current place of the target. */
  readonly ledger: string;
  readonly signal: AbortSignal;
}

const atMost = 10;

/** One instance of each of the latest studies that a target has confirmed. */
export async function* otherInstances(looking: Looking): AsyncGenerator<ListedInstance, void, undefined> {
  const { context, name, config, handler, ledger, signal } = looking;
  const { records } = await context.records.deliveries({ target: name, limit: atMost });
  for (const record of records) {
    if (record.confirmed === 0 || (record.ledger ?? record.target) !== ledger) continue;
    const entries = await context.ledger.entries(ledgerKeyOf({ ...record, ledger }));
    const expected = await expectStudy({ context, record, config, handler, entries, receipts: [], signal });
    const [instance] = expected?.confirmed.keys() ?? [];
    if (instance) yield instance;
  }
}
