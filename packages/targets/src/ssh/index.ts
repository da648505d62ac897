export { hostKeyOption, sshUser, type HostKeyOption } from './host-key-option.ts';
export { oldAlgorithms, oldAmong } from './old-algorithms.ts';
export { knownKeys, type KnownKey } from './known-hosts.ts';
export { fingerprintOf, hostKeyJudge, type HostKeyJudge } from './verify-host-key.ts';
