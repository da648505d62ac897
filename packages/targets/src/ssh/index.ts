export { hostKeyOption, sshUser, type HostKeyOption } from './host-key-option.ts';
export { knownKeys, type KnownKey } from './known-hosts.ts';
export { fingerprintOf, hostKeyJudge, type HostKeyJudge } from './verify-host-key.ts';
