import type { OperationsContext } from './context.ts';
import { eachDelivery } from './each-delivery.ts';

export interface ErrorCount {
  readonly stage: string;
  readonly code: string;
  readonly count: number;
  /** Text of the latest of them. */
  readonly example: string;
}

/** How many deliveries of each state are looked at. */
const most = 500;

/**
 * Why deliveries to a target fail or wait after a failure now, by stage and code, the most frequent first; of a long
 * backlog the latest count.
 */
export async function countErrors(context: OperationsContext, target: string): Promise<ErrorCount[]> {
  const counted = new Map<string, { stage: string; code: string; count: number; example: string }>();
  for (const state of ['failed', 'partial', 'waiting'] as const) {
    let looked = 0;
    for await (const record of eachDelivery(context, { state, target })) {
      looked += 1;
      if (looked > most) break;
      if (!record.error) continue;
      const { stage, code, message } = record.error;
      const known = counted.get(`${stage} ${code}`);
      if (known) known.count += 1;
      else counted.set(`${stage} ${code}`, { stage, code, count: 1, example: message });
    }
  }
  return [...counted.values()].sort((one, other) => other.count - one.count);
}
