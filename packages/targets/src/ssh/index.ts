export { oldAlgorithms, oldAmong } from './old-algorithms.ts';
export { fingerprintOf, hostKeyJudge } from './verify-host-key.ts';
