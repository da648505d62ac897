export { checkPlace, markName, maxMarkBytes, type MarkedPlace, type PlaceFound } from './place-mark.ts';
export { placeSays } from './place-says.ts';
export { rememberPlaceOption } from './schema.ts';
