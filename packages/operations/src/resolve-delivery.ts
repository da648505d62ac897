import { printable } from '@dicom-dispatch/core';
import { OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import { act, unresolvedStates } from '@dicom-dispatch/state/records';
import { findDelivery } from './find-delivery.ts';

/** Characters of a reason. */
export const maxReasonLength = 200;

/**
 * Resolves an unsuccessful delivery: it is no longer counted and reported as failed. Nothing is sent; a retry is still
 * possible, and {@link reopenDelivery} reverts it.
 *
 * @param reason - stored in Redis and the audit log: no patient data
 * @throws OperationError `not-found`; `invalid` without a reason; `conflict` unless it is failed, partial or source-gone
 */
export async function resolveDelivery(
  context: PipelineContext,
  deliveryId: string,
  actor: Actor,
  reason: string | undefined,
): Promise<void> {
  const words = checkReason(reason);
  const { state } = await findDelivery(context, deliveryId);
  const from = unresolvedStates.find((one) => one === state);
  const changed =
    from &&
    (await context.records.change(deliveryId, {
      ...act('resolve'),
      from: [from],
      patch: { state: 'resolved', resolution: { by: actor.name, reason: words, from } },
      event: { kind: 'resolved', text: `resolved by ${actor.name}: ${words}` },
    }));
  if (changed?.kind === 'done') return;
  throw new OperationError(
    'conflict',
    `only a delivery that is failed, partial or source-gone can be resolved; ${deliveryId} is ${changed?.state ?? state}`,
  );
}

/**
 * Restores the former state of a resolved delivery.
 *
 * @throws OperationError `not-found`; `conflict` unless it is resolved
 */
export async function reopenDelivery(context: PipelineContext, deliveryId: string, actor: Actor): Promise<void> {
  const { state, resolution } = await findDelivery(context, deliveryId);
  const changed =
    resolution &&
    (await context.records.change(deliveryId, {
      ...act('reopen'),
      patch: { state: resolution.from, resolution: null },
      event: { kind: 'resolved', text: `reopened by ${actor.name}` },
    }));
  if (changed?.kind === 'done') return;
  throw new OperationError(
    'conflict',
    `only a resolved delivery can be reopened; ${deliveryId} is ${changed?.state ?? state}`,
  );
}

/** @throws OperationError `invalid` */
export function checkReason(reason: string | undefined): string {
  const words = printable(reason ?? '').trim();
  if (words === '') throw new OperationError('invalid', 'reason is missing: state why no further action is needed');
  if (words.length <= maxReasonLength) return words;
  throw new OperationError('invalid', `reason has ${words.length} characters: at most ${maxReasonLength}`);
}
