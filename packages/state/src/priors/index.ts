export { Priors, priorsLeaseMs } from './priors.ts';
export { PulledStudies } from './pulled-studies.ts';
export type { ChosenPrior, LookedAtPrior, PriorsKey, PriorsStep, PriorState } from './prior-types.ts';
