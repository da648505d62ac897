/**
 * The stages of a delivery, in order. The stage in which an attempt ended is its fail stage.
 *
 * - `resolve`: the target's configuration and handler
 * - `manifest`: the instances of the study, and those missing at the target according to the ledger
 * - `connect`: association, TLS, login
 * - `transfer`: instances are sent
 * - `verify`: check that the target has them
 * - `finalize`: markers, manifests, hooks
 */
export const stages = ['resolve', 'manifest', 'connect', 'transfer', 'verify', 'finalize'] as const;
export type Stage = (typeof stages)[number];
