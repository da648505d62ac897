export { markerOption } from './schema.ts';
export { studyMarker } from './study-marker.ts';
