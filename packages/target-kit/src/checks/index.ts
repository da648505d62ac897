export { networkError } from './network-error.ts';
export { networkSteps, type NetworkPeer } from './network-steps.ts';
export { probeRemains } from './probe-remains.ts';
export { runChecks, type CheckStep } from './run-checks.ts';
