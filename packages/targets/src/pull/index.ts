export { seriesTags, studyTags } from './keyword-tags.ts';
export { matchesKey } from './match-key.ts';
export { boundaryOf, readParts } from './multipart.ts';
export { peekSopInstanceUid } from './peek-sop-instance-uid.ts';
export { maxDoubts, seriesNotListed } from './series-not-listed.ts';
export { retrieveInstances, type RemoteInstance } from './retrieve-instances.ts';
export { expectInstance, peekIdentity, type PeekedInstance } from './expect-instance.ts';
export { listedTwice, malformedName, RetrieveTally } from './retrieve-tally.ts';
