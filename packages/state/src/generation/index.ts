export {
  beatGeneration,
  endLoss,
  lookAtGeneration,
  type Beat,
  type BeatAnswer,
  type KnownGeneration,
  type Loss,
  type LossKind,
} from './generation.ts';
