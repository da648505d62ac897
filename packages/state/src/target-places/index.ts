export type { KnownPlace, Places } from './find-place.ts';
export { describeMove, TargetPlaces, type PlaceDecision, type PlaceVerdict, type Registered } from './target-places.ts';
