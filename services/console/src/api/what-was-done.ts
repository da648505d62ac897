import type { DeliveryDetail, DeliveryDone } from '../views/schemas.ts';

type Done = Pick<DeliveryDone, 'did' | 'undo'>;

/**
 * The result of an action on a delivery as text, and the action that undoes it.
 *
 * @param hasChanged - false if the delivery was like this before
 */
export function whatWasDone(
  action: 'cancel' | 'hold' | 'release' | 'first' | 'resolve' | 'reopen',
  delivery: DeliveryDetail,
  hasChanged = true,
): Done {
  const { deliveryId, target, state, confirmed, total, explanation } = delivery;
  const undo = (label: string, what: string) => ({ label, path: `/api/deliveries/${deliveryId}/${what}` });
  switch (action) {
    case 'cancel':
      return state === 'active'
        ? { did: `The attempt to ${target} is being ended: ${confirmed} of ${total} instances have arrived.` }
        : {
            did: `Cancelled: ${confirmed} of ${total} instances had arrived at ${target}, and stay there.`,
            undo: undo('Resume', 'retry'),
          };
    case 'hold':
      return { did: `Held: it does not go to ${target} until somebody releases it.`, undo: undo('Release', 'release') };
    case 'release':
      if (!hasChanged) return { did: `It was not held: nothing has changed. ${explanation.text}` };
      return {
        did: `Released. ${explanation.text}`,
        ...(state === 'waiting' && { undo: undo('Hold again', 'hold') }),
      };
    case 'first':
      return { did: `It is the first of ${target} now. ${explanation.text}` };
    case 'resolve':
      return {
        did: `Resolved: the delivery to ${target} no longer counts as ${delivery.resolution?.from ?? 'failed'}.`,
        undo: undo('Reopen', 'reopen'),
      };
    case 'reopen':
      return { did: `It is ${state} again.` };
  }
}
