export { finding, isTrouble, publicFinding, type HealthFinding } from './finding.ts';
export {
  healthKinds,
  healthSeverities,
  healthTable,
  type HealthKind,
  type HealthKindRow,
  type HealthSeverity,
} from './health-kinds.ts';
export { readHealth } from './read-health.ts';
export type { AskedSource } from './look-at-sources.ts';
export { readProcesses } from './look-at-services.ts';
