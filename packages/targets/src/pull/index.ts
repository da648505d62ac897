export { matchesKey } from './match-key.ts';
export { RetrieveTally, retrieveInstances, type RemoteInstance } from './retrieve-instances.ts';
