export {
  checkPlace,
  isRemembered,
  markMissing,
  markName,
  maxMarkBytes,
  type MarkedPlace,
  type PlaceFound,
} from './place-mark.ts';
export { describePlace } from './describe-place.ts';
export { rememberPlaceOption } from './schema.ts';
