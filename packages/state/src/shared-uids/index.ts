export { SharedUids } from './shared-uids.ts';
export { UidClaims, type ClaimAnswer } from './uid-claims.ts';
