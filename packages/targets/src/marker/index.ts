export { markerOption, type MarkerOption } from './schema.ts';
export { studyMarker, type StudyMarker } from './study-marker.ts';
