import { z } from 'zod';
import { configName } from './names.ts';

/**
 * How a group selects among its targets.
 *
 * - `all`: every one gets the study
 * - `first-available`: the first usable one in the list (failover)
 * - `round-robin`: each in turn
 * - `least-busy`: the one with the fewest waiting and running deliveries
 */
export const groupStrategies = ['all', 'first-available', 'round-robin', 'least-busy'] as const;
export type GroupStrategy = (typeof groupStrategies)[number];

export const targetGroupConfig = z.strictObject({
  description: z.string().max(200).optional().describe('description shown in the console'),
  strategy: z
    .enum(groupStrategies)
    .default('first-available')
    .describe('all, first-available (failover), round-robin or least-busy (load balancing)'),
  targets: z
    .array(configName)
    .min(1, 'a group needs at least one target')
    .max(100)
    .describe('member targets; for first-available in order of preference'),
});
export type TargetGroupConfig = z.output<typeof targetGroupConfig>;
