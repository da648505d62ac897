// Not with them: http-checks.ts, which loads an HTTP client that targets without HTTP do not need.
export { runChecks, type CheckStep } from './run-checks.ts';
export { networkSteps, type NetworkPeer } from './network-steps.ts';
export { urlSteps } from './url-steps.ts';
