/**
 * The stages of a delivery, in order. The stage in which an attempt ended is its fail stage.
 *
 * - `resolve`: the target's configuration and handler
 * - `manifest`: what is in the study, and what the ledger says is missing at the target
 * - `connect`: association, TLS, login
 * - `transfer`: instances on their way
 * - `verify`: the target really has them
 * - `finalize`: markers, manifests, hooks
 */
export const stages = ['resolve', 'manifest', 'connect', 'transfer', 'verify', 'finalize'] as const;
export type Stage = (typeof stages)[number];
