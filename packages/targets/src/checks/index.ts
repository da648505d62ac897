export { checkHttpService, urlSteps } from './http-checks.ts';
export { runChecks, type CheckStep } from './run-checks.ts';
export { networkSteps, type NetworkPeer } from './network-steps.ts';
