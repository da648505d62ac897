export { summarizeDurations, type DurationCounts, type DurationSummary, type Timed } from './durations.ts';
export { TargetStats, type TargetFlow } from './target-stats.ts';
