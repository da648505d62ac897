export {
  Fetches,
  fetchStates,
  type FetchOrder,
  type FetchProgress,
  type FetchRecord,
  type FetchState,
} from './fetches.ts';
